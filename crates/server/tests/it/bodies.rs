//! What nobody honest sends.

use std::io::Write;

use crate::support::{clean, v1, v2};

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// A V2 request whose head says what it likes.
fn tensor(shape: &str, kind: &str, size: &str, data: &[u8]) -> Vec<u8> {
    let head = format!(
        "{{\"inputs\":[{{\"name\":\"x\",\"shape\":{shape},\"datatype\":{kind},\"parameters\":{{\"binary_data_size\":{size}}}}}]}}"
    );
    [head.as_bytes(), data].concat()
}

/// Bodies of requests for inference that are wrong, each with what is wrong about it.
pub fn bodies() -> Vec<(String, Vec<u8>)> {
    let image = clean(300, 1);
    let pixels = image.pixels();
    let good = v2(&image, None);
    let floats = String::from_utf8(v1(&image)).unwrap();
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: String, body: Vec<u8>| all.push((what, body));
    for shape in [
        "[1,32,32]",
        "[1,32,32,4]",
        "[1,31,32,3]",
        "[1,32,32,3,1]",
        "[2,32,32,3]",
        "[0,32,32,3]",
        "[-1,32,32,3]",
        "[1.5,32,32,3]",
        "[]",
        "null",
        "3",
        "\"x\"",
        "{}",
        "[1,32,3,32]",
        "[9223372036854775807,32,32,3]",
        "[18446744073709551615,32,32,3]",
        "[99999999999999999999,32,32,3]",
        "[4294967296,4294967296,4294967296,3]",
        "[[1],32,32,3]",
        "[true,32,32,3]",
        "[1,32,32,3,",
        "[10001,32,32,3]",
    ] {
        add(format!("shape {shape}"), tensor(shape, "\"UINT8\"", "3072", pixels));
    }
    for size in [
        "3071",
        "3073",
        "0",
        "-1",
        "1e9",
        "4294967296",
        "18446744073709551615",
        "99999999999999999999",
        "null",
        "\"3072\"",
        "[3072]",
        "3072.5",
    ] {
        add(format!("size {size}"), tensor("[1,32,32,3]", "\"UINT8\"", size, pixels));
    }
    for kind in [
        "\"INT8\"",
        "\"FP16\"",
        "\"FP32\"",
        "\"FP64\"",
        "\"BOOL\"",
        "\"BYTES\"",
        "\"uint8\"",
        "\"\"",
        "null",
        "7",
        "\"\\u0000\"",
        "\"<script>\"",
    ] {
        add(format!("type {kind}"), tensor("[1,32,32,3]", kind, "3072", pixels));
    }
    for cut in [0, 1, 2, 10, good.len() / 8, good.len() / 2, good.len() - 1] {
        add(format!("cut at {cut}"), good[..cut].to_vec());
    }
    for cut in [1, 20, floats.len() / 2, floats.len() - 1] {
        add(format!("JSON cut at {cut}"), floats.as_bytes()[..cut].to_vec());
    }
    for (what, number) in [
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("1e999", "1e999"),
        ("-1e999", "-1e999"),
        ("1e39", "1e39"),
        ("negative", "-0.5"),
        ("too large", "256"),
        ("null", "null"),
        ("text", "\"a\""),
        ("true", "true"),
        ("array", "[0.5]"),
        ("object", "{}"),
        ("hexadecimal", "0x10"),
        ("leading zero", "00.5"),
        ("many digits", &"9".repeat(5000)),
    ] {
        let first = floats.find("[[[[").unwrap() + 4;
        let end = first + floats[first..].find(',').unwrap();
        add(
            format!("pixel {what}"),
            format!("{}{number}{}", &floats[..first], &floats[end..]).into_bytes(),
        );
    }
    for depth in [5, 100, 127, 128, 10_000, 1_000_000] {
        add(
            format!("arrays {depth} deep"),
            format!("{{\"instances\": {}{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes(),
        );
        add(
            format!("objects {depth} deep"),
            format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).into_bytes(),
        );
        add(
            format!("arrays {depth} deep, never closed"),
            format!("{{\"instances\": {}", "[".repeat(depth)).into_bytes(),
        );
    }
    for text in [
        "",
        " ",
        "\n",
        "null",
        "true",
        "0",
        "\"\"",
        "[]",
        "{}",
        "{\"instances\": null}",
        "{\"instances\": []}",
        "{\"instances\": [[]]}",
        "{\"instances\": {}}",
        "{\"instances\": \"x\"}",
        "{\"instances\": 3}",
        "{\"instances\": [1, 2]}",
        "{\"instances\": [[[[1, 2, 3]]]]}",
        "{\"instances\": [{\"b64\": \"????\"}]}",
        "{\"instances\": [{\"b64\": \"aGVsbG8=\"}]}",
        "{\"instances\": [{\"b64\": 1}]}",
        "{\"instances\": [{\"a\": {\"b\": {\"c\": 1}}}]}",
        "{\"inputs\": []}",
        "{\"inputs\": {}}",
        "{\"inputs\": [{}]}",
        "{\"inputs\": [null]}",
        "{\"inputs\": [{\"data\": []}]}",
        "{\"inputs\": [{\"data\": [1], \"shape\": [1], \"datatype\": \"UINT8\"}]}",
        "{\"instances\": [[1]], \"inputs\": []}",
        "{\"instances\": [[1]], \"instances\": [[1]]}",
        "{\"predictions\": [[1]]}",
        "{\"id\": 3, \"instances\": [[1]]}",
        "{\"instances\": [1]}{\"instances\": [1]}",
        "{\"instances\": [1]} trailing words",
        "\u{feff}{}",
        "<html></html>",
        "instances=1",
        "--boundary--",
    ] {
        add(format!("text {text:?}"), text.as_bytes().to_vec());
    }
    add("bytes that are no text".into(), vec![0xff; 5000]);
    add("zero bytes".into(), vec![0; 5000]);
    add("a gzip bomb".into(), gzip(&vec![b' '; 200 << 20]));
    add("a gzip bomb in a gzip bomb".into(), gzip(&gzip(&vec![0; 50 << 20])));
    add("half a gzip".into(), gzip(&good)[..1000].to_vec());
    add("gzip with a wrong checksum".into(), {
        let mut bytes = gzip(&good);
        let last = bytes.len() - 8;
        bytes[last] ^= 1;
        bytes
    });
    add("gzip's first bytes alone".into(), vec![0x1f, 0x8b]);
    for (what, elements) in [
        ("longer than what is left", vec![255, 255, 255, 127, 1, 2]),
        ("cut in its length", vec![1, 0, 0]),
        ("of no bytes", vec![0, 0, 0, 0]),
        ("that is no picture", vec![3, 0, 0, 0, 1, 2, 3]),
        ("a million of no bytes", vec![0; 4_000_000]),
    ] {
        add(
            format!("a picture {what}"),
            tensor("[1]", "\"BYTES\"", &elements.len().to_string(), &elements),
        );
    }
    add("a picture of 30,000 x 30,000 pixels in a few bytes".into(), {
        let png = huge_png(30_000, 30_000);
        let element = [&(png.len() as u32).to_le_bytes()[..], &png].concat();
        tensor("[1]", "\"BYTES\"", &element.len().to_string(), &element)
    });
    all
}

/// The head of a PNG that claims a size.
pub fn huge_png(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR".to_vec();
    png.extend(width.to_be_bytes());
    png.extend(height.to_be_bytes());
    png.extend([8, 2, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&png[12..]);
    png.extend(crc.sum().to_be_bytes());
    png
}
