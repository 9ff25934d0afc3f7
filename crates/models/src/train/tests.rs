use super::engine::{DistilledEngine, Engine, FlatLayout, ResNetEngine};
use crate::config::{DistilledCnnConfig, NetworkConfig, ResNetConfig};
use crate::weights::Weights;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use riptide_kernels::Simd;

fn speed(config: NetworkConfig) {
    let layout = FlatLayout::new(&config);
    let weights = Weights::random(&config, 1).unwrap();
    let flat = |list: &[(crate::config::Parameter, std::ops::Range<usize>)]| -> Vec<f32> {
        list.iter()
            .flat_map(|(p, _)| {
                weights
                    .get(&p.name)
                    .unwrap()
                    .flatten_all()
                    .unwrap()
                    .to_vec1::<f32>()
                    .unwrap()
            })
            .collect()
    };
    let parameters = flat(&layout.trained);
    let mut statistics = flat(&layout.statistics);
    let mut engine: Box<dyn Engine> = match &config {
        NetworkConfig::ResNet(c) => Box::new(ResNetEngine::new(c, 0.99, Simd::best()).unwrap()),
        NetworkConfig::DistilledCnn(c) => Box::new(DistilledEngine::new(c, Simd::best()).unwrap()),
        NetworkConfig::Onnx(_) => unreachable!(),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let n = 128;
    let x: Vec<f32> = (0..n * 3072).map(|_| rng.random_range(-1.0..1.0)).collect();
    engine.input().set_nchw(n, &x);
    let mut g = vec![0.0; parameters.len()];
    for _ in 0..6 {
        let t = std::time::Instant::now();
        let logits = engine.forward(&parameters, &mut statistics).unwrap();
        let f = t.elapsed();
        engine.backward(&parameters, &logits, &mut g).unwrap();
        println!(
            "forward {f:?} both {:?} = {} img/s",
            t.elapsed(),
            n as f64 / t.elapsed().as_secs_f64()
        );
    }
}

#[test]
fn speed_of_both() {
    speed(NetworkConfig::ResNet(ResNetConfig::default()));
    speed(NetworkConfig::DistilledCnn(DistilledCnnConfig::default()));
}
