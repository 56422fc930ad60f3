//! IP address pools: ranges, exclusions and picking, over a store's address table
