//! Writes the table of limits that docs/configuration.md holds.

#![forbid(unsafe_code)]

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(gatelodge_config::plugins_toml::limits_table().as_bytes())
}
