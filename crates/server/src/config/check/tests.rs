use super::*;

fn parse(text: &str) -> Result<(), String> {
    let config: Config = toml::from_str(text).map_err(|error| one_line(&error, text))?;
    config.check().map_err(|error| error.to_string())
}

#[test]
fn what_is_wrong_is_named() {
    let base = "monitors = [{ path = \"m\" }]\n";
    assert_eq!(parse(base), Ok(()));
    for (text, told) in [
        ("", "monitors is empty"),
        ("monitors = [{ path = \"a b\" }]", "a monitor's name is \"a b\""),
        (
            "monitors = [{ path = \"a\" }, { path = \"x/a\" }]",
            "different for each monitor",
        ),
        ("window.images = 0", "window.images is 0"),
        ("window.min_images = 2000", "window.min_images is 2000"),
        ("windows = 3", "line 2: unknown field `windows`"),
        ("key = \"short\"", "key is too short"),
        (
            "sinks = [{ kind = \"slack\", url = \"ftp://x\" }]",
            "sinks.url is \"ftp://x\"",
        ),
        ("limits.total_body_bytes = 5", "limits.total_body_bytes is 5"),
        ("alarm.raise_after = 0", "alarm.raise_after is 0"),
    ] {
        let text = if text.is_empty() || text.starts_with("monitors") {
            text.to_owned()
        } else {
            format!("{base}{text}")
        };
        let found = parse(&text).unwrap_err();
        assert!(found.contains(told) && !found.contains('\n'), "{found}");
    }
}

#[test]
fn names_lead_nowhere() {
    for good in ["a", "resnet-50.v2", "A_1"] {
        assert!(is_name(good));
    }
    for bad in ["", ".", "..", "a/b", "a b", "é", "<b>", &"x".repeat(65)] {
        assert!(!is_name(bad), "{bad}");
    }
}
