//! A faithful Proxmox VE cluster simulator: sans-IO state, an HTTP(S) server and a binary
