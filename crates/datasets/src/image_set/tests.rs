use super::*;

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("class {i}")).collect()
}

fn set() -> ImageSet {
    let pixels = (0..3u8).flat_map(|i| [i; 2 * 3 * 3]).collect();
    ImageSet::new(pixels, 2, 3, vec![2, 0, 1], names(3)).unwrap()
}

#[test]
fn lengths_and_labels_are_checked() {
    assert!(matches!(
        ImageSet::new(vec![0; 17], 2, 3, vec![0], names(1)),
        Err(DatasetError::PixelCount {
            pixels: 17,
            images: 1,
            ..
        })
    ));
    assert!(matches!(
        ImageSet::new(vec![0; 36], 2, 3, vec![0, 5], names(5)),
        Err(DatasetError::LabelOutOfRange {
            index: 1,
            label: 5,
            n_classes: 5,
            ..
        })
    ));
    assert!(ImageSet::unlabelled(vec![0; 19], 2, 3).is_err());
    assert!(ImageSet::unlabelled(vec![], 0, 3).is_err());
    assert!(ImageSet::unlabelled(vec![], usize::MAX, 2).is_err());
    assert_eq!(ImageSet::unlabelled(vec![], 2, 3).unwrap().len(), 0);
}

#[test]
fn select_and_slice_take_pixels_and_labels_together() {
    let set = set();
    let picked = set.select(&[2, 0, 2]).unwrap();
    assert_eq!(picked.labels(), Some(&[1, 2, 1][..]));
    assert_eq!(picked.images().map(|i| i[0]).collect::<Vec<_>>(), [2, 0, 2]);
    assert!(matches!(
        set.select(&[3]),
        Err(DatasetError::IndexOutOfRange { index: 3, len: 3 })
    ));

    let middle = set.slice(1..2).unwrap();
    assert_eq!(
        (middle.len(), middle.labels(), middle.image(0).unwrap()[5]),
        (1, Some(&[0][..]), 1)
    );
    assert!(set.slice(0..4).is_err());
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = 2..1;
    assert!(set.slice(reversed).is_err());
    assert!(set.slice(3..3).unwrap().is_empty());
    assert_eq!(set.image(3), None);
    assert_eq!(set.image(usize::MAX), None);
}

#[test]
fn append_refuses_what_does_not_fit() {
    let mut set = set();
    let whole = set.clone();
    set.append(&whole.slice(0..1).unwrap()).unwrap();
    assert_eq!((set.len(), set.labels().unwrap()[3]), (4, 2));
    assert!(set.append(&ImageSet::unlabelled(vec![0; 18], 2, 3).unwrap()).is_err());
    assert!(
        set.append(&ImageSet::new(vec![0; 18], 3, 2, vec![0], names(3)).unwrap())
            .is_err()
    );
    assert_eq!(set.len(), 4);
}

#[test]
fn the_digest_moves_with_shape_pixels_and_labels() {
    let base = set();
    let mut seen = vec![base.digest()];
    seen.push(
        ImageSet::new(base.pixels().to_vec(), 3, 2, vec![2, 0, 1], names(3))
            .unwrap()
            .digest(),
    );
    seen.push(
        ImageSet::new(base.pixels().to_vec(), 2, 3, vec![2, 1, 1], names(3))
            .unwrap()
            .digest(),
    );
    seen.push(ImageSet::unlabelled(base.pixels().to_vec(), 2, 3).unwrap().digest());
    seen.push(base.with_pixels(vec![9; 54]).unwrap().digest());
    assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>().len(), 5);
    assert!(seen.iter().all(|d| d.len() == 64));
    assert_eq!(base.digest(), set().digest());
}

#[test]
fn a_deserialised_set_is_checked_too() {
    let json = serde_json::to_string(&set()).unwrap();
    assert_eq!(serde_json::from_str::<ImageSet>(&json).unwrap(), set());
    let broken = json.replace("\"labels\":[2,0,1]", "\"labels\":[2,0,7]");
    assert_ne!(json, broken);
    assert!(serde_json::from_str::<ImageSet>(&broken).is_err());
}
