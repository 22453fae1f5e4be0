//! Compiles the first-party plugins into `OUT_DIR/<name>.wasm`.

use gatelodge_componentize::{Error, Kind, build};

fn main() -> Result<(), Error> {
    for package in ["gatelodge-auth-forward", "gatelodge-forward-auth", "gatelodge-request-log"] {
        build(package, Kind::Lib)?;
    }
    Ok(())
}
