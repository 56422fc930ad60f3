//! Example binaries: quickstart
