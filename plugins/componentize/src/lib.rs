//! gatelodge-componentize
