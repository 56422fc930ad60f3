//! Checks of the workspace itself: layers, file sizes, documents
