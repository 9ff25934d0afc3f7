//! Damaged ONNX files: each is refused with one line, or gives probabilities; none panics, hangs, or takes much memory.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use riptide_models::onnx::Engine;
use riptide_models::{OnnxClassifier, OnnxOptions};

/// Damaged files of each whole one; `RIPTIDE_DAMAGED` asks for another number.
const EACH: usize = 24;
const SLOWEST: Duration = Duration::from_secs(20);

/// Small files of many kinds of operators.
const WHOLE: &[&str] = &[
    "average_pool_ceil_include_pad",
    "batch_norm",
    "branch",
    "conv_grouped",
    "conv_transpose",
    "depth_to_space",
    "einsum",
    "expand",
    "gather",
    "group_norm_21",
    "max_pool_dilations",
    "pad_negative_value",
    "qdq_per_channel",
    "reduce_mean_18",
    "resize_linear",
    "slice_backwards",
    "split",
    "tile",
    "tokens",
    "top_k",
];

/// A message of protocol buffers as far as its fields matter here.
#[derive(Clone)]
enum Value {
    Number(u64),
    Fixed(u8, Vec<u8>),
    Bytes(Vec<u8>),
    Packed(Vec<u64>),
    Message(Vec<(u64, Value)>),
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dimension,
    Opset,
}

fn child(kind: Kind, field: u64) -> Option<Kind> {
    Some(match (kind, field) {
        (Kind::Model, 7) | (Kind::Attribute, 6) => Kind::Graph,
        (Kind::Model, 8) => Kind::Opset,
        (Kind::Graph, 1) => Kind::Node,
        (Kind::Graph, 5) | (Kind::Attribute, 5) => Kind::Tensor,
        (Kind::Graph, 11..=13) => Kind::ValueInfo,
        (Kind::Node, 5) => Kind::Attribute,
        (Kind::ValueInfo, 2) => Kind::Type,
        (Kind::Type, 1) => Kind::TensorType,
        (Kind::TensorType, 2) => Kind::Shape,
        (Kind::Shape, 1) => Kind::Dimension,
        _ => return None,
    })
}

/// Whether a field holds numbers one behind the other.
fn is_packed(kind: Kind, field: u64) -> bool {
    matches!((kind, field), (Kind::Attribute, 8) | (Kind::Tensor, 1 | 5 | 7))
}

fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn parse(kind: Kind, bytes: &[u8]) -> Vec<(u64, Value)> {
    let (mut at, mut fields) = (0, Vec::new());
    while at < bytes.len() {
        let tag = varint(bytes, &mut at);
        let field = tag >> 3;
        let fixed = |at: &mut usize, n: usize| {
            *at += n;
            bytes[*at - n..*at].to_vec()
        };
        let value = match tag & 7 {
            0 => Value::Number(varint(bytes, &mut at)),
            1 => Value::Fixed(1, fixed(&mut at, 8)),
            5 => Value::Fixed(5, fixed(&mut at, 4)),
            _ => {
                let length = varint(bytes, &mut at) as usize;
                let content = fixed(&mut at, length);
                match child(kind, field) {
                    Some(child) => Value::Message(parse(child, &content)),
                    None if is_packed(kind, field) => {
                        let (mut at, mut numbers) = (0, Vec::new());
                        while at < content.len() {
                            numbers.push(varint(&content, &mut at));
                        }
                        Value::Packed(numbers)
                    }
                    None => Value::Bytes(content),
                }
            }
        };
        fields.push((field, value));
    }
    fields
}

fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn encode(fields: &[(u64, Value)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (field, value) in fields {
        let (wire, content) = match value {
            Value::Number(number) => {
                put(field << 3, &mut out);
                put(*number, &mut out);
                continue;
            }
            Value::Fixed(wire, bytes) => (*wire, bytes.clone()),
            Value::Bytes(bytes) => (2, bytes.clone()),
            Value::Packed(numbers) => {
                let mut bytes = Vec::new();
                numbers.iter().for_each(|&number| put(number, &mut bytes));
                (2, bytes)
            }
            Value::Message(fields) => (2, encode(fields)),
        };
        put(field << 3 | u64::from(wire), &mut out);
        if wire == 2 {
            put(content.len() as u64, &mut out);
        }
        out.extend(content);
    }
    out
}

/// Random numbers by splitmix64 (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Counts the places that can be changed, and changes one of them.
fn change(fields: &mut Vec<(u64, Value)>, at: &mut usize, random: &mut Random) {
    let lie = |number: u64, random: &mut Random| {
        let lies = [
            0,
            1,
            u64::MAX,
            i64::MAX as u64,
            1 << 31,
            1 << 40,
            number ^ 1,
            number.wrapping_sub(1),
            number * 2 % (1 << 62),
            1 << 20,
        ];
        lies[random.below(lies.len())]
    };
    let mut index = 0;
    while index < fields.len() {
        match &mut fields[index].1 {
            Value::Message(inside) => change(inside, at, random),
            Value::Packed(numbers) => {
                for number in numbers.iter_mut() {
                    if *at == 0 {
                        *number = lie(*number, random);
                    }
                    *at = at.wrapping_sub(1);
                }
            }
            Value::Number(number) => {
                if *at == 0 {
                    *number = lie(*number, random);
                }
                *at = at.wrapping_sub(1);
            }
            Value::Bytes(bytes) | Value::Fixed(_, bytes) => {
                if *at == 0 {
                    // A weight's bytes, a name or a word: another byte, or all bits set (NaN).
                    match random.below(3) {
                        0 => bytes.fill(0xff),
                        1 => bytes.truncate(bytes.len() / 2),
                        _ if !bytes.is_empty() => {
                            let place = random.below(bytes.len());
                            bytes[place] = random.next() as u8;
                        }
                        _ => {}
                    }
                    if matches!(fields[index].1, Value::Fixed(..)) {
                        fields.remove(index);
                    }
                }
                *at = at.wrapping_sub(1);
            }
        }
        // Whole fields are left out or doubled now and then.
        if *at == 0 && index < fields.len() && matches!(fields[index].1, Value::Message(_)) {
            match random.below(2) {
                0 => drop(fields.remove(index)),
                _ => fields.insert(index, fields[index].clone()),
            }
            *at = usize::MAX;
        }
        index += 1;
    }
}

fn places(fields: &[(u64, Value)]) -> usize {
    fields
        .iter()
        .map(|(_, value)| match value {
            Value::Message(inside) => places(inside),
            Value::Packed(numbers) => numbers.len(),
            _ => 1,
        })
        .sum()
}

fn damaged(whole: &[u8], random: &mut Random) -> Vec<u8> {
    match random.below(6) {
        0 => whole[..random.below(whole.len())].to_vec(),
        1 => {
            let mut bytes = whole.to_vec();
            let place = random.below(bytes.len());
            bytes[place] ^= 1 << random.below(8);
            bytes
        }
        _ => {
            let mut model = parse(Kind::Model, whole);
            let mut at = random.below(places(&model));
            change(&mut model, &mut at, random);
            encode(&model)
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/onnx")
}

/// What became of one file, in a word.
fn try_one(path: &Path, engine: Engine) -> &'static str {
    let options = OnnxOptions::default().engine(engine).size(None);
    let refused = |error: String| {
        assert!(error.lines().count() == 1 && error.len() < 1000, "{error:?}");
        "refused"
    };
    let mut classifier = match OnnxClassifier::load(path, options) {
        Ok(classifier) => classifier,
        Err(error) => return refused(error.to_string()),
    };
    let (height, width) = (classifier.config().height, classifier.config().width);
    if height * width > 1 << 14 {
        // It was run when it was loaded; the rest would take long.
        return "read";
    }
    let bytes = (0..3 * height * width * 3).map(|k| (k * 89 % 251) as u8).collect();
    let images = Tensor::from_vec(bytes, (3, height, width, 3), &Device::Cpu).unwrap();
    if let Err(error) = classifier.verify(&images) {
        return refused(error.to_string());
    }
    match classifier.probabilities(&images) {
        Err(error) => refused(error.to_string()),
        Ok(rows) => {
            for row in rows.to_vec2::<f32>().unwrap() {
                let sum: f32 = row.iter().sum();
                assert!(
                    row.iter().all(|p| (0.0..=1.0).contains(p)) && (sum - 1.0).abs() < 2e-3,
                    "{row:?}"
                );
            }
            "read"
        }
    }
}

fn all(engine: Engine) {
    let each = std::env::var("RIPTIDE_DAMAGED").map_or(EACH, |each| each.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("damaged.onnx");
    let (mut read, mut refused) = (0, 0);
    for (seed, name) in WHOLE.iter().enumerate() {
        let whole = std::fs::read(folder().join(format!("{name}.onnx"))).unwrap();
        assert!(
            encode(&parse(Kind::Model, &whole)) == whole,
            "{name} is not taken apart rightly"
        );
        let mut random = Random(seed as u64);
        for n in 0..each {
            let bytes = damaged(&whole, &mut random);
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(kept) = std::env::var("RIPTIDE_DAMAGED_KEEP") {
                std::fs::write(kept, &bytes).unwrap();
            }
            let start = Instant::now();
            let outcome = std::panic::catch_unwind(|| try_one(&path, engine));
            match outcome {
                Ok("read") => read += 1,
                Ok(_) => refused += 1,
                Err(_) => panic!("{name}, damaged file {n} of seed {seed}: a panic"),
            }
            assert!(
                start.elapsed() < SLOWEST,
                "{name}, damaged file {n} took {:?}",
                start.elapsed()
            );
        }
    }
    println!("{read} read, {refused} refused");
    assert!(
        refused > read / 4,
        "{read} read, {refused} refused: the damage does too little"
    );
    assert!(read > 0, "not one was read: the test tests nothing");
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 3 << 20, "{} MiB at the most", kib >> 10);
    }
}

#[test]
fn damaged_files_are_refused_or_read() {
    all(Engine::Tract);
}

#[cfg(feature = "onnxruntime")]
#[test]
fn damaged_files_are_refused_or_read_by_onnx_runtime() {
    let options = OnnxOptions::default().engine(Engine::OnnxRuntime);
    match OnnxClassifier::load(folder().join("gelu.onnx"), options) {
        Err(error) if error.to_string().contains("library is not found") => {}
        _ => all(Engine::OnnxRuntime),
    }
}
