//! A Proxmox VE API client, and the hypervisor backend of the deployment engine
