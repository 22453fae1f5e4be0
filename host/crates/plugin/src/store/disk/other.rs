//! Files with the rights that their folder gives.

use std::fs::{File, OpenOptions};
use std::path::Path;

pub(super) fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}
