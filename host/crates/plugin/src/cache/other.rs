//! Systems whose folders can't be proven private by safe calls: no cache.

use std::path::{Path, PathBuf};

/// Never made.
pub(super) enum Folder {}

impl Folder {
    pub(super) fn open(_path: &Path) -> Result<Self, String> {
        Err("this system has no folder that is provably private".to_owned())
    }

    pub(super) fn read(&self, _name: &str, _bytes_max: usize) -> Result<Option<Vec<u8>>, String> {
        match *self {}
    }

    pub(super) fn write(&self, _name: &str, _parts: &[&[u8]]) -> Result<(), String> {
        match *self {}
    }

    pub(super) fn write_if_missing(&self, _name: &str, _parts: &[&[u8]]) -> Result<(), String> {
        match *self {}
    }

    pub(super) fn remove(&self, _name: &str) {
        match *self {}
    }

    pub(super) fn make_room(&self, _bytes_max: u64) {
        match *self {}
    }
}

pub(super) fn folder(_variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    None
}
