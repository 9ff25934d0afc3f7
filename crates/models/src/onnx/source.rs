//! A file that was read and checked, from which engines are made.

use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::prelude::Framework;

use super::graph::Interface;
use super::guard::guarded;
use super::limits::{self, Values};
use super::run::Run;
use super::tract::{Kind, Tract};
use crate::config::{Device, Engine, OnnxOptions};

/// A checked file.
pub(super) struct Source {
    proto: ModelProto,
    values: Values,
    pub(super) interface: Interface,
    /// Whether the graph computes with 16-bit floats.
    pub(super) has_halves: bool,
}

impl Source {
    /// Reads the bytes of a file, with what `options` settles.
    ///
    /// # Errors
    /// What is wrong with the file, in one line without its name.
    pub(super) fn new(file: &[u8], options: &OnnxOptions) -> Result<Self, String> {
        let mut proto = guarded(|| tract_onnx::onnx().proto_model_for_read(&mut &*file))
            .ok()
            .and_then(Result::ok)
            .ok_or("is not a whole ONNX file")?;
        let interface = Interface::of(&proto, options)?;
        let shape = interface.shape(interface.batch.unwrap_or(1));
        let values = limits::check(&proto, &interface.input, shape)?;
        let has_halves = proto.graph.as_ref().is_some_and(has_halves);
        // Only the chosen output is computed.
        if let Some(graph) = &mut proto.graph {
            graph.output.retain(|output| output.name == interface.output);
        }
        Ok(Self {
            proto,
            values,
            interface,
            has_halves,
        })
    }

    /// tract with this file.
    pub(super) fn tract(&mut self, kind: Kind) -> Result<Tract, String> {
        Tract::new(&mut self.proto, &self.interface, &self.values, kind)
    }

    /// ONNX Runtime with this file.
    #[cfg(feature = "onnxruntime")]
    pub(super) fn runtime(
        &self,
        file: &Arc<[u8]>,
        library: Option<&Path>,
        device: Device,
    ) -> Result<Box<dyn Run>, String> {
        Ok(Box::new(super::runtime::Runtime::new(
            file,
            &self.interface,
            library,
            device,
        )?))
    }

    /// ONNX Runtime with this file, which this build cannot have.
    #[cfg(not(feature = "onnxruntime"))]
    pub(super) fn runtime(
        &self,
        _file: &Arc<[u8]>,
        _library: Option<&Path>,
        _device: Device,
    ) -> Result<Box<dyn Run>, String> {
        Err("needs ONNX Runtime, which this build cannot use; build riptide-models with the feature onnxruntime".into())
    }

    /// The engine that `options` asks for, and which it is.
    pub(super) fn engine(&mut self, file: &Arc<[u8]>, options: &OnnxOptions) -> Result<(Arc<dyn Run>, Engine), String> {
        let (library, device) = (options.library.as_deref(), options.device);
        let by_runtime = |run: Box<dyn Run>| (Arc::from(run), Engine::OnnxRuntime);
        let by_tract = |plan: Tract| -> (Arc<dyn Run>, Engine) { (Arc::new(plan), Engine::Tract) };
        match options.engine {
            Engine::OnnxRuntime => self.runtime(file, library, device).map(by_runtime),
            Engine::Tract if device != Device::Cpu => Err("is to run on a GPU, which only ONNX Runtime can use".into()),
            Engine::Tract => self.tract(Kind::Fast).map(by_tract),
            Engine::Auto if library.is_some() || device != Device::Cpu => {
                self.runtime(file, library, device).map(by_runtime)
            }
            // A library that is found but cannot be used is no reason to fail while tract can do the work.
            Engine::Auto if is_there(None).unwrap_or(false) => match self.runtime(file, None, device) {
                Ok(run) => Ok(by_runtime(run)),
                Err(first) => self
                    .tract(Kind::Fast)
                    .map(by_tract)
                    .map_err(|second| format!("{first}; nor can tract read it: {second}")),
            },
            Engine::Auto => self.tract(Kind::Fast).map(by_tract).map_err(|error| {
                format!("{error}; ONNX Runtime, which was not found here, may read it (`pip install onnxruntime`)")
            }),
        }
    }
}

/// Whether there are weights of 16-bit floats, or something is turned into them.
fn has_halves(graph: &GraphProto) -> bool {
    const HALVES: [i64; 2] = [10, 16];
    let is_half = |kind: Option<i64>| kind.is_some_and(|kind| HALVES.contains(&kind));
    let mut casts = graph.node.iter().filter(|node| node.op_type == "Cast");
    let mut weights = graph.initializer.iter();
    weights.any(|parameter| is_half(Some(parameter.data_type.into())))
        || casts.any(|node| is_half(limits::Attributes(node).int("to")))
}

/// Whether ONNX Runtime's library is found and can be loaded.
#[cfg(feature = "onnxruntime")]
pub(super) fn is_there(library: Option<&Path>) -> Result<bool, String> {
    super::runtime::is_there(library)
}

/// Never: this build cannot use it.
#[cfg(not(feature = "onnxruntime"))]
pub(super) fn is_there(_library: Option<&Path>) -> Result<bool, String> {
    Ok(false)
}
