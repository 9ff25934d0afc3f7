//! Images from wherever people have them: streams, tables, arrays, and probabilities in place of a classifier.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use riptide::datasets::ImageSet;
use riptide::datasets::npy::write_images;
use riptide::files::npy::{encode, encode_header};
use riptide::pretrained;
use serde_json::Value;

use crate::support::{clean_images, document, output, records, refused, riptide, shared};

/// A running `detect` whose standard input stays open.
fn live(arguments: &str) -> Child {
    let monitor = shared().monitor.display().to_string();
    Command::new(env!("CARGO_BIN_EXE_riptide"))
        .args(["detect", "--monitor", &monitor, "--images", "-", "--batch-size", "20"])
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn png(image: &[u8]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_raw(32, 32, image.to_vec()).unwrap();
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn messages(images: &ImageSet) -> Vec<u8> {
    let frame = |image: &[u8]| [encode_header("|u1", &[1, 32, 32, 3]), image.to_vec()].concat();
    images.images().flat_map(frame).collect()
}

fn pictures(images: &ImageSet) -> Vec<u8> {
    let frame = |image: &[u8]| {
        let png = png(image);
        [&(png.len() as u32).to_be_bytes(), &png[..]].concat()
    };
    images.images().flat_map(frame).collect()
}

#[test]
fn a_batch_is_told_while_the_camera_goes_on() {
    let images = clean_images(300, 50);
    let announced = [encode_header("|u1", &[1000, 32, 32, 3]), images.pixels().to_vec()].concat();
    let expected = records(&format!(
        "detect --monitor {} --images {} --batch-size 20",
        shared().monitor.display(),
        {
            let path = shared().monitor.parent().unwrap().join("live.npy");
            write_images(&path, &images).unwrap();
            path.display().to_string()
        }
    ));
    for (arguments, bytes) in [
        ("--json", announced),
        ("--json", messages(&images)),
        ("--json", pictures(&images)),
        ("--json --frames 32x32", images.pixels().to_vec()),
        ("", messages(&images)),
    ] {
        let mut child = live(arguments);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&bytes).unwrap();
        stdin.flush().unwrap();
        // The stream stays open: what is read now has been told without waiting for its end.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if arguments.contains("--json") {
            for expected in &expected[..2] {
                let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
                assert_eq!(line, *expected, "{arguments}");
            }
        } else {
            for _ in 0..3 {
                assert!(lines.next().unwrap().unwrap().contains(['0', 'd']));
            }
        }
        sleep(Duration::from_millis(50));
        assert!(child.try_wait().unwrap().is_none(), "{arguments}");
        drop(stdin);
        child.wait().unwrap();
    }
}

#[test]
fn whole_batches_of_a_broken_stream_are_told_before_the_error() {
    let monitor = shared().monitor.display().to_string();
    let images = clean_images(300, 50);
    let mut damaged = pictures(&images);
    damaged.extend([0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (bytes, more, words) in [
        (messages(&images)[..50 * (128 + 3072) - 9].to_vec(), "", "truncated"),
        (damaged, "", "picture 50 (image 50): not a picture"),
        (
            images.pixels()[..49 * 3072 + 5].to_vec(),
            "--frames 32x32",
            "in the middle of frame 49",
        ),
        (
            b"\xff\xd8\xff\xe0 a naked JPEG".to_vec(),
            "",
            "preceded by their length",
        ),
    ] {
        let arguments = format!("detect --monitor {monitor} --images - --batch-size 20 --json {more}");
        let told = if words.contains("length") { 0 } else { 2 };
        let done = riptide(&arguments).write_stdin(bytes).assert().code(1);
        let (out, text) = (&done.get_output().stdout, &done.get_output().stderr);
        let text = String::from_utf8_lossy(text);
        assert_eq!(String::from_utf8_lossy(out).lines().count(), told, "{text}");
        assert!(
            text.contains("standard input") && text.contains(words) && text.lines().count() == 1,
            "{text}"
        );
    }
}

#[test]
fn a_table_divides_its_images() {
    let root = tempfile::tempdir().unwrap();
    let monitor = shared().monitor.display().to_string();
    let mut table = "path,camera,at\n".to_owned();
    for (index, image) in clean_images(300, 24).images().enumerate() {
        fs::write(root.path().join(format!("{index}.png")), png(image)).unwrap();
        let camera = if index % 3 == 0 { "north" } else { "south" };
        table.push_str(&format!("{index}.png,{camera},2024-05-01 1{}:00:00\n", index % 2));
    }
    let path = root.path().join("today.csv");
    fs::write(&path, table).unwrap();
    let detect = format!("detect --monitor {monitor} --images {}", path.display());
    let windows = |more: &str| {
        let records = records(&format!("{detect} {more}"));
        let one = |record: &Value| (record["window"].clone(), record["n_images"].as_u64().unwrap());
        records.iter().map(one).collect::<Vec<_>>()
    };
    let found = windows("--group-by camera");
    assert_eq!(found[0], (serde_json::json!({"group": "north"}), 8));
    assert_eq!(found[1], (serde_json::json!({"group": "south"}), 16));
    let found = windows("--time at --every 1h --group-by camera");
    let first = serde_json::json!({"group": "north", "start": "2024-05-01T10:00:00Z", "end": "2024-05-01T11:00:00Z"});
    assert_eq!((found.len(), &found[0]), (4, &(first, 4)));
    let text = output(&format!("{detect} --time at --every 30m"));
    assert!(text.contains("2024-05-01T11:00:00Z"), "{text}");
    for (more, words) in [
        (
            "--group-by place",
            "there is no column place; there are path, camera, at",
        ),
        (
            "--time camera --every 1h",
            "today.csv: image 0: camera is \"north\", which is no time",
        ),
        ("--time at --every soon", "every is soon"),
    ] {
        assert!(refused(1, &format!("{detect} {more}")).contains(words));
    }
    for usage in ["--time at", "--every 1h", "--group-by camera --batch-size 3"] {
        refused(2, &format!("{detect} {usage}"));
    }
}

#[test]
fn arrays_that_do_not_say_what_they_are_name_the_option() {
    let root = tempfile::tempdir().unwrap();
    let monitor = shared().monitor.display().to_string();
    let images = clean_images(300, 20);
    let path = root.path().join("x.npy");
    let score = format!("score --monitor {monitor} --images {} --json", path.display());
    write_images(&path, &images).unwrap();
    let expected = output(&score);
    // The same as floats from -1 to 1, channels first.
    let planes = images
        .images()
        .flat_map(|image| (0..3).flat_map(move |c| image.iter().skip(c).step_by(3)));
    let floats: Vec<f32> = planes.map(|&level| f32::from(level) / 127.5 - 1.0).collect();
    fs::write(&path, encode(&[20, 3, 32, 32], floats)).unwrap();
    let text = refused(1, &score);
    assert!(
        text.contains("add --range 0..1, 0..255 or -1..1") && text.contains("image 0 has values from -"),
        "{text}"
    );
    assert_eq!(output(&format!("{score} --range -1..1")), expected);
    let text = refused(1, &format!("{score} --range -1..1 --layout nhwc"));
    assert!(text.contains("expected (N, H, W, 3)"), "{text}");
    fs::write(&path, encode(&[1, 3, 5, 3], vec![0_u8; 45])).unwrap();
    assert!(refused(1, &score).contains("add --layout nhwc, nchw or nhw"));
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let fifo = root.path().join("x.npy");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let monitor = shared().monitor.display().to_string();
    for path in [fifo.display().to_string(), "/dev/zero".to_owned()] {
        let text = refused(1, &format!("score --monitor {monitor} --images {path}"));
        assert!(text.contains(&path), "{text}");
    }
}

#[test]
fn columns_of_tables_are_compared() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).display().to_string();
    let numbers: Vec<f64> = (0..30).map(|i| f64::from(i * i % 17)).collect();
    let rows: String = numbers.iter().map(|number| format!("x,{number}\n")).collect();
    fs::write(path("a.csv"), format!("name,loss\n{rows}")).unwrap();
    fs::write(path("b.npy"), encode(&[30], numbers)).unwrap();
    let found = document(&format!("ks {}:loss {}", path("a.csv"), path("b.npy")));
    assert_eq!(
        (found["statistic"].as_f64(), found["n_reference"].as_u64()),
        (Some(0.0), Some(30))
    );
    let text = refused(1, &format!("ks {} {}", path("a.csv"), path("b.npy")));
    assert!(
        text.contains("a.csv: say which column, as in FILE:COLUMN, of name, loss"),
        "{text}"
    );
}

#[test]
fn logged_probabilities_are_watched() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).display().to_string();
    let (classifier, _) = riptide::shipped_networks(&pretrained::SHAPES).unwrap();
    for (name, first, n) in [("train", 1000, 150), ("today", 2000, 60)] {
        let images = clean_images(first, n);
        let rows = classifier.predict_proba(images.pixels(), |_| ()).unwrap();
        write_images(path(&format!("{name}.npy")), &images).unwrap();
        fs::write(path(&format!("{name}-p.npy")), encode(&[n, 10], rows)).unwrap();
    }
    let fit = document(&format!(
        "fit --probabilities {} --images {} --out {} --epochs 1 --filters 8",
        path("train-p.npy"),
        path("train.npy"),
        path("monitor")
    ));
    assert_eq!(fit["facts"]["classifier"], "logged");
    let detect = format!("detect --monitor {} --images {}", path("monitor"), path("today.npy"));
    let found = records(&format!("{detect} --probabilities {}", path("today-p.npy")));
    assert_eq!(found[0]["n_images"], 60);
    let text = refused(1, &detect);
    assert!(text.contains("add --probabilities FILE"), "{text}");
    let text = refused(1, &format!("{detect} --probabilities {}", path("train-p.npy")));
    assert!(
        text.contains("train-p.npy: not as many rows as the 60 images of"),
        "{text}"
    );
    let score = format!("score --monitor {} --images {}", path("monitor"), path("today.npy"));
    assert_eq!(
        records(&format!("{score} --logged-probabilities {}", path("today-p.npy"))).len(),
        60
    );
    refused(
        2,
        &format!("fit --images {} --out {}", path("train.npy"), path("other")),
    );
}
