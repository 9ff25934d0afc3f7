//! Networks as Riptide saves them: a configuration, and parameters in safetensors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use riptide_models::Network;

fuzz_target!(|bytes: &[u8]| {
    // The first line is the configuration.
    let at = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (config, weights) = bytes.split_at(at);
    let _ = Network::from_bytes(config, weights.get(1..).unwrap_or_default());
});
