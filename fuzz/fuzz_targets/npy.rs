//! `.npy` headers and arrays.
#![no_main]

use libfuzzer_sys::fuzz_target;
use riptide_files::npy;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = npy::decode::<f32>(bytes) {
        assert_eq!(array.shape.iter().product::<usize>(), array.values.len());
        // What was read is written and read again as it was.
        let again = npy::decode::<f32>(&npy::encode(&array.shape, array.values.iter().copied()));
        let same = again.is_ok_and(|again| {
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            again.shape == array.shape && bits(&again.values) == bits(&array.values)
        });
        assert!(same);
    }
    let _ = npy::decode::<u8>(bytes);
    let _ = npy::decode::<u32>(bytes);
    let _ = npy::decode::<f64>(bytes);
});
