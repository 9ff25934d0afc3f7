//! x
use riptide_corruptions::*;
use riptide_datasets::shapes::*;
use riptide_datasets::npy::*;
fn main() {
    let d = std::env::args().nth(1).unwrap();
    let clean = |first: u64, n: usize| Shapes::new(0).generate(TEST_FIRST_INDEX + first, n);
    write_images(format!("{d}/reference.npy"), &clean(0, 200)).unwrap();
    let c = clean(200, 120);
    write_images(format!("{d}/clean.npy"), &c).unwrap();
    let noisy = Corruptor::new(0).apply(&c, Corruption::GaussianNoise, Severity::new(5).unwrap()).unwrap();
    write_images(format!("{d}/noisy.npy"), &noisy).unwrap();
    let h = clean(400, 240);
    write_images(format!("{d}/held-out.npy"), &h).unwrap();
    write_labels(format!("{d}/labels.npy"), h.labels().unwrap()).unwrap();
    let h = clean(10_000, 2000);
    write_images(format!("{d}/big.npy"), &h).unwrap();
    write_labels(format!("{d}/big_y.npy"), h.labels().unwrap()).unwrap();
}
