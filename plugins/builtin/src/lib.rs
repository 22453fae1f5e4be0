//! gatelodge-builtin
