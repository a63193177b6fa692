//! Compiles the contract with protox, so that no protoc is needed on the machine.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use prost::Message;

const FILES: [&str; 4] = [
    "medialab/billing/v1/billing.proto",
    "medialab/billing/v1/admin.proto",
    "medialab/payments/v1/payments.proto",
    "medialab/media/v1/media.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=medialab");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // Pictures travel as `bytes` fields: `Bytes` spares a copy of each piece.
    tonic_prost_build::configure().bytes(".medialab.media").compile_fds(descriptors)?;
    Ok(())
}
