use super::super::images::tests::expected;
use super::*;

fn images(body: &[u8]) -> Taken<Images> {
    Document::read(body, None)?.images(&expected())
}

fn answers(text: &str) -> Taken<Vec<f32>> {
    Document::read(text.as_bytes(), None)?.answers(&expected())
}

fn binary(json: &str, data: &[u8]) -> Vec<u8> {
    [json.as_bytes(), data].concat()
}

const WANTED: [u8; 6] = [10, 20, 30, 40, 50, 60];

#[test]
fn all_forms_give_the_same_image() {
    let unit = WANTED.map(|byte| f32::from(byte) / 255.0);
    let float: Vec<u8> = unit.iter().flat_map(|value| value.to_le_bytes()).collect();
    let double: Vec<u8> = WANTED.iter().flat_map(|&byte| f64::from(byte).to_le_bytes()).collect();
    let nested = |v: &[String]| format!("[[[[{},{},{}]],[[{},{},{}]]]]", v[0], v[1], v[2], v[3], v[4], v[5]);
    let text = |values: &[f32]| values.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>();
    let bytes: Vec<String> = WANTED.iter().map(u8::to_string).collect();
    let head = |kind: &str, size: usize| {
        format!(
            "{{\"inputs\":[{{\"name\":\"x\",\"shape\":[1,2,1,3],\"datatype\":\"{kind}\",\"parameters\":{{\"binary_data_size\":{size}}}}}]}}"
        )
    };
    for body in [
        format!("{{\"instances\": {}}}", nested(&text(&unit))).into_bytes(),
        format!("{{\"instances\": {}}}\n", nested(&bytes)).into_bytes(),
        format!(
            "{{\"inputs\":[{{\"name\":\"x\",\"shape\":[1,2,1,3],\"datatype\":\"UINT8\",\"data\":[{}]}}]}}",
            bytes.join(",")
        )
        .into_bytes(),
        format!(
            "{{\"inputs\":[{{\"data\":{},\"shape\":[1,2,1,3],\"datatype\":\"FP32\"}}]}}",
            nested(&text(&unit))
        )
        .into_bytes(),
        binary(&head("UINT8", 6), &WANTED),
        binary(&head("FP32", 24), &float),
        binary(&head("FP64", 48), &double),
    ] {
        assert_eq!(
            images(&body).unwrap().pixels,
            WANTED,
            "{}",
            String::from_utf8_lossy(&body)
        );
    }
    let json = head("UINT8", 6);
    let body = binary(&json, &WANTED);
    assert!(
        Document::read(&body, Some(json.len()))
            .unwrap()
            .images(&expected())
            .is_ok()
    );
    for wrong in [0, 3, json.len() - 1, json.len() + 1, body.len() + 1, usize::MAX] {
        assert_eq!(Document::read(&body, Some(wrong)).unwrap_err().status, 400);
    }
}

#[test]
fn pictures_come_as_text_and_binary() {
    use base64::Engine;
    let ppm = b"P6 1 2 255\n\x0a\x14\x1e\x28\x32\x3c".to_vec();
    let text = base64::engine::general_purpose::STANDARD.encode(&ppm);
    let mut elements = (ppm.len() as u32).to_le_bytes().to_vec();
    elements.extend_from_slice(&ppm);
    let size = elements.len();
    let head = |shape: &str| {
        format!(
            "{{\"inputs\":[{{\"shape\":{shape},\"datatype\":\"BYTES\",\"parameters\":{{\"binary_data_size\":{size}}}}}]}}"
        )
    };
    for body in [
        format!("{{\"instances\":[{{\"b64\":\"{text}\"}}]}}").into_bytes(),
        format!("{{\"inputs\":[{{\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"{text}\"]}}]}}").into_bytes(),
        binary(&head("[1,1]"), &elements),
    ] {
        assert_eq!(images(&body).unwrap().pixels, WANTED);
    }
    assert!(images(&binary(&head("[2]"), &elements)).is_err());
    elements[0] += 1;
    assert!(
        images(&binary(&head("[1]"), &elements))
            .unwrap_err()
            .message
            .contains("longer")
    );
    elements[3] = 255;
    assert!(images(&binary(&head("[1]"), &elements)).is_err());
}

#[test]
fn answers_come_as_v1_and_v2() {
    let rows = [0.25, 0.75, 1.0, 0.0];
    for text in [
        "{\"predictions\": [[0.25, 0.75], [1, 0]]}",
        "{\"outputs\":[{\"name\":\"p\",\"shape\":[2,2],\"datatype\":\"FP32\",\"data\":[0.25,0.75,1,0]}]}",
        // Another output beside it is no row of probabilities.
        "{\"outputs\":[{\"name\":\"c\",\"shape\":[2],\"datatype\":\"INT64\",\"data\":[1,0]},{\"shape\":[2,2],\"datatype\":\"FP64\",\"data\":[[0.25,0.75],[1,0]]}]}",
    ] {
        assert_eq!(answers(text).unwrap(), rows, "{text}");
    }
    for (text, told) in [
        ("{\"predictions\": [1, 0]}", "expected [N, 2]"),
        ("{\"predictions\": [[3.5, -1.0]]}", "no row of probabilities"),
        ("{\"error\": \"no\"}", "an error"),
        ("{\"instances\": [[1]]}", "neither"),
        (
            "{\"predictions\": [[0.5,0.5]], \"predictions\": [[0.5,0.5]]}",
            "duplicate",
        ),
    ] {
        let message = answers(text).unwrap_err().message;
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn lies_are_refused() {
    let head = |shape: &str, size: &str| {
        format!(
            "{{\"inputs\":[{{\"shape\":{shape},\"datatype\":\"UINT8\",\"parameters\":{{\"binary_data_size\":{size}}}}}]}}"
        )
    };
    for (shape, size) in [
        ("[1,2,1,3]", "7"),
        ("[1,2,1,3]", "18446744073709551615"),
        ("[1,2,1,3]", "-1"),
        ("[18446744073709551615,2,1,3]", "6"),
        ("[2,2,1,3]", "6"),
        ("[0,2,1,3]", "6"),
        ("[-1,2,1,3]", "6"),
        ("[1,2,1]", "6"),
        ("[]", "6"),
        ("[1,2,1,3,1]", "6"),
        ("null", "6"),
    ] {
        let rejection = images(&binary(&head(shape, size), &WANTED)).unwrap_err();
        assert!(
            matches!(rejection.status, 400 | 413 | 422),
            "{shape} {size}: {rejection:?}"
        );
        assert!(!rejection.message.contains('\n'));
    }
    for text in [
        "",
        "[]",
        "3",
        "{",
        "{}",
        "{\"inputs\":[]}",
        "{\"inputs\":{}}",
        "{\"instances\":[]}",
        "{\"instances\":[[]],\"inputs\":[]}",
        "\u{0}\u{0}",
    ] {
        assert!(images(text.as_bytes()).is_err(), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_body_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = images(&bytes);
        let mut body = b"{\"inputs\":[{\"shape\":[1,2,1,3],\"datatype\":\"BYTES\",\"parameters\":{\"binary_data_size\":".to_vec();
        body.extend_from_slice(bytes.len().to_string().as_bytes());
        body.extend_from_slice(b"}}]}");
        body.extend_from_slice(&bytes);
        let _ = images(&body);
    }
}
