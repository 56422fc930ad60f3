//! The pure core of a Proxmox VE deployment engine: steps, decisions, retry, and the seams
