//! A node's attributes by name.

use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

/// Reads attributes of a node.
#[derive(Clone, Copy)]
pub(in crate::onnx) struct Attributes<'a>(pub(in crate::onnx) &'a NodeProto);

impl<'a> Attributes<'a> {
    fn find(self, name: &str) -> Option<&'a AttributeProto> {
        self.0.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// A whole number.
    pub(in crate::onnx) fn int(self, name: &str) -> Option<i64> {
        self.find(name).map(|attribute| attribute.i)
    }

    /// Whole numbers; `None` if there are none.
    pub(in crate::onnx) fn ints(self, name: &str) -> Option<&'a [i64]> {
        self.find(name)
            .map(|attribute| attribute.ints.as_slice())
            .filter(|ints| !ints.is_empty())
    }

    /// A number.
    pub(in crate::onnx) fn float(self, name: &str) -> Option<f32> {
        self.find(name).map(|attribute| attribute.f)
    }

    /// Numbers; `None` if there are none.
    pub(in crate::onnx) fn floats(self, name: &str) -> Option<&'a [f32]> {
        self.find(name)
            .map(|attribute| attribute.floats.as_slice())
            .filter(|floats| !floats.is_empty())
    }

    /// A word.
    pub(in crate::onnx) fn text(self, name: &str) -> Option<&'a str> {
        self.find(name)
            .and_then(|attribute| std::str::from_utf8(&attribute.s).ok())
    }

    /// A tensor.
    pub(in crate::onnx) fn tensor(self, name: &str) -> Option<&'a TensorProto> {
        self.find(name).and_then(|attribute| attribute.t.as_ref())
    }
}
