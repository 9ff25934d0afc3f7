//! Both networks in stock candle: its own convolutions, normalisation, autograd and optimizers.

use candle_core::{DType, Device, Module as _, Result, Tensor};
use candle_nn::{
    AdamW, BatchNorm, Conv2d, Conv2dConfig, Linear, Optimizer, ParamsAdamW, SGD, VarBuilder, VarMap, batch_norm,
    conv2d, conv2d_no_bias, linear, loss, ops,
};

/// A network in training, one step a call.
pub struct Stock {
    network: Network,
    optimizer: Update,
    images: Tensor,
    /// Labels (N), or probabilities (N, 10).
    targets: Tensor,
}

enum Network {
    Classifier(Box<ResNet32>),
    Distilled(Distilled),
}

enum Update {
    Sgd(SGD),
    Adam(AdamW),
}

impl Stock {
    /// ResNet-32 by stochastic gradient descent on labels.
    pub fn classifier(images: Tensor, labels: Tensor) -> Result<Self> {
        let vars = VarMap::new();
        let network = ResNet32::new(VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
        Ok(Self {
            network: Network::Classifier(Box::new(network)),
            optimizer: Update::Sgd(SGD::new(vars.all_vars(), 0.1)?),
            images,
            targets: labels,
        })
    }

    /// The distilled network by Adam on a classifier's probabilities.
    pub fn distilled(images: Tensor, probabilities: Tensor) -> Result<Self> {
        let vars = VarMap::new();
        let network = Distilled::new(VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
        let params = ParamsAdamW {
            lr: 1e-3,
            eps: 1e-7,
            weight_decay: 0.0,
            ..Default::default()
        };
        Ok(Self {
            network: Network::Distilled(network),
            optimizer: Update::Adam(AdamW::new(vars.all_vars(), params)?),
            images,
            targets: probabilities,
        })
    }

    /// Forward, backward and optimizer on the batch.
    pub fn step(&mut self) -> Result<()> {
        let loss = match &self.network {
            Network::Classifier(network) => loss::cross_entropy(&network.logits(&self.images)?, &self.targets)?,
            Network::Distilled(network) => divergence(&network.logits(&self.images)?, &self.targets)?,
        };
        match &mut self.optimizer {
            Update::Sgd(optimizer) => optimizer.backward_step(&loss),
            Update::Adam(optimizer) => optimizer.backward_step(&loss),
        }
    }
}

/// KL(teacher || network) less the teacher's entropy, which no weight moves: mean over the batch.
fn divergence(logits: &Tensor, probabilities: &Tensor) -> Result<Tensor> {
    (ops::log_softmax(logits, 1)? * probabilities)?.sum(1)?.mean(0)?.neg()
}

fn config(stride: usize, padding: usize) -> Conv2dConfig {
    Conv2dConfig {
        stride,
        padding,
        ..Default::default()
    }
}

struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
    /// Whether a row and a column of zeros come after the image, as Keras pads a 3x3 kernel of stride 2.
    is_padded_after: bool,
}

impl ConvNorm {
    fn new(inputs: usize, filters: usize, kernel: usize, stride: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let padding = if stride == 1 { kernel / 2 } else { 0 };
        Ok(Self {
            conv: conv2d_no_bias(inputs, filters, kernel, config(stride, padding), vb.pp("conv"))?,
            norm: batch_norm(filters, 1e-5, vb.pp("norm"))?,
            is_padded_after: stride == 2 && kernel == 3,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = if self.is_padded_after {
            self.conv
                .forward(&x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?)?
        } else {
            self.conv.forward(x)?
        };
        self.norm.forward_train(&y)
    }
}

struct ResNet32 {
    stem: ConvNorm,
    blocks: Vec<(ConvNorm, ConvNorm, Option<ConvNorm>)>,
    head: Linear,
}

impl ResNet32 {
    fn new(vb: VarBuilder<'_>) -> Result<Self> {
        let mut blocks = Vec::new();
        let mut channels = 16;
        for (stage, filters) in [16, 32, 64].into_iter().enumerate() {
            for block in 0..5 {
                let vb = vb.pp(format!("{stage}.{block}"));
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let a = ConvNorm::new(channels, filters, 3, stride, &vb.pp("a"))?;
                let b = ConvNorm::new(filters, filters, 3, 1, &vb.pp("b"))?;
                let shortcut = match block {
                    0 => Some(ConvNorm::new(channels, filters, 1, stride, &vb.pp("shortcut"))?),
                    _ => None,
                };
                blocks.push((a, b, shortcut));
                channels = filters;
            }
        }
        Ok(Self {
            stem: ConvNorm::new(3, 16, 3, 1, &vb.pp("stem"))?,
            blocks,
            head: linear(64, 10, vb.pp("head"))?,
        })
    }

    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let mut x = self.stem.forward(images)?.relu()?;
        for (a, b, shortcut) in &self.blocks {
            let y = b.forward(&a.forward(&x)?.relu()?)?;
            let x_or_projection = match shortcut {
                Some(shortcut) => shortcut.forward(&x)?,
                None => x,
            };
            x = (y + x_or_projection)?.relu()?;
        }
        self.head.forward(&x.mean((2, 3))?)
    }
}

struct Distilled {
    convolutions: [Conv2d; 3],
    dense: [Linear; 2],
}

impl Distilled {
    fn new(vb: VarBuilder<'_>) -> Result<Self> {
        let conv = |inputs, filters, name: &str| conv2d(inputs, filters, 4, config(2, 1), vb.pp(name));
        Ok(Self {
            convolutions: [conv(3, 256, "1")?, conv(256, 128, "2")?, conv(128, 64, "3")?],
            dense: [linear(1024, 40, vb.pp("4"))?, linear(40, 10, vb.pp("5"))?],
        })
    }

    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let [first, second, third] = &self.convolutions;
        let x = second.forward(&first.forward(images)?)?.relu()?;
        let x = third.forward(&x)?.relu()?.flatten_from(1)?;
        self.dense[1].forward(&self.dense[0].forward(&x)?)
    }
}
