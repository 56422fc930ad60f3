//! The tokio loop that drives deployments through their turns
