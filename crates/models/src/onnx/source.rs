//! A file that was read and checked, from which engines are made.

use std::path::Path;
use std::sync::Arc;

use tract_onnx::pb::ModelProto;
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
        // Only the chosen output is computed.
        if let Some(graph) = &mut proto.graph {
            graph.output.retain(|output| output.name == interface.output);
        }
        Ok(Self {
            proto,
            values,
            interface,
        })
    }

    /// Whether the graph computes with 16-bit floats.
    pub(super) fn has_halves(&self) -> bool {
        const HALVES: [i32; 2] = [10, 16];
        let graph = self.proto.graph.as_ref();
        let is_half = |kind: i32| HALVES.contains(&kind);
        graph.is_some_and(|graph| {
            graph.initializer.iter().any(|parameter| is_half(parameter.data_type))
                || graph.node.iter().any(|node| {
                    node.op_type == "Cast"
                        && limits::Attributes(node)
                            .int("to")
                            .is_some_and(|to| HALVES.map(i64::from).contains(&to))
                })
        })
    }

    /// tract with this file.
    pub(super) fn tract(&self, kind: Kind) -> Result<Tract, String> {
        Tract::new(&self.proto, &self.interface, &self.values, kind)
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
    pub(super) fn engine(&self, file: &Arc<[u8]>, options: &OnnxOptions) -> Result<(Arc<dyn Run>, Engine), String> {
        let library = options.library.as_deref();
        let runtime = || {
            Ok((
                Arc::from(self.runtime(file, library, options.device)?),
                Engine::OnnxRuntime,
            ))
        };
        let tract =
            || -> Result<(Arc<dyn Run>, Engine), String> { Ok((Arc::new(self.tract(Kind::Fast)?), Engine::Tract)) };
        match options.engine {
            Engine::OnnxRuntime => runtime(),
            Engine::Tract if options.device != Device::Cpu => {
                Err("is to run on a GPU, which only ONNX Runtime can use".into())
            }
            Engine::Tract => tract(),
            Engine::Auto if library.is_some() || options.device != Device::Cpu => runtime(),
            // A library that is found but cannot be used is no reason to fail while tract can do the work.
            Engine::Auto if is_there(None).unwrap_or(false) => runtime()
                .or_else(|first: String| tract().map_err(|second| format!("{first}; nor can tract read it: {second}"))),
            Engine::Auto => tract().map_err(|error| {
                format!("{error}; ONNX Runtime, which was not found here, may read it (`pip install onnxruntime`)")
            }),
        }
    }
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
