//! Images from Python: an array that stays where it is, a path, or an iterator over arrays.

use std::io::{Chain, Cursor, Read};
use std::path::PathBuf;

use numpy::{PyArray1, PyArray2, PyArray4, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pythonize::depythonize;
use riptide::Images;
use riptide::datasets::npy::{ArrayOptions, NpyStream};
use riptide::datasets::{DatasetError, Framing, ImageSet, ImageSource, OnError, OpenOptions, Skipped, TableOptions};
use riptide::files::npy::encode_header;

use crate::errors::refuse;
use crate::run::run;

/// Where images come from.
#[pyclass(frozen, module = "riptide_drift._riptide")]
pub struct Source {
    name: String,
    kind: Kind,
    labels: Option<Vec<u32>>,
    rows: Option<Py<PyArray2<f32>>>,
}

enum Kind {
    Array(Array),
    Path(PathBuf, Box<OpenOptions>),
    /// The iterator, and how many classes its labels may name.
    Iterator(Py<PyAny>, Option<usize>),
}

struct Array {
    bytes: Py<PyArray1<u8>>,
    dtype: String,
    shape: Vec<u64>,
    options: ArrayOptions,
}

#[pymethods]
impl Source {
    /// An array: its bytes in C order, its dtype and its shape.
    #[staticmethod]
    #[pyo3(signature = (bytes, dtype, shape, *, name, options=None, labels=None, probabilities=None))]
    fn array(
        bytes: Py<PyArray1<u8>>,
        dtype: String,
        shape: Vec<u64>,
        name: String,
        options: Option<&Bound<'_, PyAny>>,
        labels: Option<Vec<u32>>,
        probabilities: Option<Py<PyArray2<f32>>>,
    ) -> PyResult<Self> {
        let options = options.map_or_else(|| Ok(ArrayOptions::default()), depythonize)?;
        Ok(Self {
            name,
            kind: Kind::Array(Array {
                bytes,
                dtype,
                shape,
                options,
            }),
            labels,
            rows: probabilities,
        })
    }

    /// Whatever can be opened by its path.
    #[staticmethod]
    #[pyo3(signature = (path, *, framing=None, options=None, columns=Vec::new(), skip_unreadable=false, labels=None, probabilities=None))]
    fn path(
        path: PathBuf,
        framing: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyAny>>,
        columns: Vec<String>,
        skip_unreadable: bool,
        labels: Option<Vec<u32>>,
        probabilities: Option<Py<PyArray2<f32>>>,
    ) -> PyResult<Self> {
        let framing: Framing = framing.map_or_else(|| Ok(Framing::default()), depythonize)?;
        let arrays: ArrayOptions = options.map_or_else(|| Ok(ArrayOptions::default()), depythonize)?;
        let on_error = if skip_unreadable { OnError::Skip } else { OnError::Fail };
        let options = OpenOptions::default()
            .framing(framing)
            .arrays(arrays)
            .on_error(on_error)
            .table(TableOptions::default().columns(columns));
        Ok(Self {
            name: path.display().to_string(),
            kind: Kind::Path(path, Box::new(options)),
            labels,
            rows: probabilities,
        })
    }

    /// An iterator over sources, each of an array.
    #[staticmethod]
    #[pyo3(signature = (iterator, *, name, n_classes=None))]
    fn iterator(iterator: Py<PyAny>, name: String, n_classes: Option<usize>) -> Self {
        Self {
            name,
            kind: Kind::Iterator(iterator, n_classes),
            labels: None,
            rows: None,
        }
    }

    /// The first `n` images, uint8 (n, H, W, 3), or all if there are fewer.
    fn head<'py>(&self, py: Python<'py>, n: usize) -> PyResult<Bound<'py, PyArray4<u8>>> {
        let held = self.hold(py)?;
        let view = held.view()?;
        let images = run(py, move || {
            let mut source = view.opened(Framing::Keep)?;
            Ok(source.next_chunk(n)?)
        })?;
        let images = images.ok_or_else(|| refuse(format!("{}: no images", self.name)))?;
        array(py, &images)
    }

    /// The name that errors call it by.
    #[getter]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Images as an array uint8 (N, H, W, 3).
pub fn array<'py>(py: Python<'py>, images: &ImageSet) -> PyResult<Bound<'py, PyArray4<u8>>> {
    PyArray1::from_slice(py, images.pixels()).reshape(images.shape())
}

/// A source whose arrays are borrowed for a call.
pub struct Held<'py> {
    source: &'py Source,
    bytes: Option<PyReadonlyArray1<'py, u8>>,
    rows: Option<PyReadonlyArray2<'py, f32>>,
}

impl Source {
    /// Borrows the arrays.
    pub fn hold<'py>(&'py self, py: Python<'py>) -> PyResult<Held<'py>> {
        let bytes = match &self.kind {
            Kind::Array(array) => Some(array.bytes.bind(py).try_readonly()?),
            _ => None,
        };
        let rows = self
            .rows
            .as_ref()
            .map(|rows| rows.bind(py).try_readonly())
            .transpose()?;
        Ok(Held {
            source: self,
            bytes,
            rows,
        })
    }
}

impl Held<'_> {
    /// What can be read while Python's lock is released.
    pub fn view(&self) -> PyResult<View<'_>> {
        let kind = match (&self.source.kind, &self.bytes) {
            (Kind::Array(array), Some(bytes)) => ViewKind::Array {
                header: encode_header(&array.dtype, &array.shape),
                bytes: bytes.as_slice()?,
                options: array.options,
            },
            (Kind::Path(path, options), _) => ViewKind::Path(path, options),
            (Kind::Iterator(iterator, n_classes), _) => ViewKind::Iterator(iterator, *n_classes),
            (Kind::Array(_), None) => return Err(refuse("the array is not at hand")),
        };
        let rows = match &self.rows {
            Some(rows) => Some((rows.shape().get(1).copied().unwrap_or_default(), rows.as_slice()?)),
            None => None,
        };
        Ok(View {
            name: &self.source.name,
            kind,
            labels: self.source.labels.as_deref(),
            rows,
        })
    }
}

/// Images that are read without Python's lock.
pub struct View<'a> {
    name: &'a str,
    kind: ViewKind<'a>,
    labels: Option<&'a [u32]>,
    /// Number of classes and logged probabilities, row-major.
    rows: Option<(usize, &'a [f32])>,
}

enum ViewKind<'a> {
    Array {
        header: Vec<u8>,
        bytes: &'a [u8],
        options: ArrayOptions,
    },
    Path(&'a PathBuf, &'a OpenOptions),
    Iterator(&'a Py<PyAny>, Option<usize>),
}

impl View<'_> {
    /// The images for the library. Pictures are framed with `framing` unless the source has a framing of its own.
    pub fn images(&self, framing: Framing) -> riptide::Result<Images<'_>> {
        let (is_once, framing) = match &self.kind {
            ViewKind::Path(path, options) => (path.as_os_str() == "-", framed(options, framing)),
            ViewKind::Iterator(..) => (true, Framing::Keep),
            ViewKind::Array { .. } => (false, Framing::Keep),
        };
        if is_once {
            return Ok(Images::named(self.name, self.opened(framing)?));
        }
        // Addresses are fetched once, here.
        if let ViewKind::Path(path, _) = &self.kind {
            riptide::locate(path)?;
        }
        Images::reopened(self.name, framing, move || self.opened(framing))
    }

    /// The images as they come.
    pub fn source(&self, framing: Framing) -> riptide::Result<Box<dyn ImageSource + '_>> {
        Ok(self.opened(framing)?)
    }

    fn opened(&self, framing: Framing) -> riptide::datasets::Result<Box<dyn ImageSource + '_>> {
        let inner: Box<dyn ImageSource + '_> = match &self.kind {
            ViewKind::Array { header, bytes, options } => {
                let reader = Cursor::new(header.as_slice()).chain(*bytes);
                Box::new(InMemory(NpyStream::with(reader, self.name, *options)?))
            }
            ViewKind::Path(path, options) => {
                let options = (*options).clone().framing(framed(options, framing));
                // An address that cannot be fetched was an error before.
                let local = riptide::locate(path).map_err(|error| DatasetError::Malformed {
                    path: path.into(),
                    reason: error.to_string(),
                })?;
                riptide::datasets::open(local, options)?
            }
            ViewKind::Iterator(iterator, n_classes) => Box::new(Iterated {
                iterator,
                name: self.name,
                class_names: (0..n_classes.unwrap_or_default())
                    .map(|class| class.to_string())
                    .collect(),
                rest: None,
            }),
        };
        Ok(Box::new(Given {
            inner,
            name: self.name,
            labels: self.labels,
            class_names: class_names(self.labels),
            rows: self.rows,
            next: 0,
        }))
    }
}

fn framed(options: &OpenOptions, framing: Framing) -> Framing {
    match options.pictures.framing {
        Framing::Keep => framing,
        own => own,
    }
}

/// Labels from elsewhere have no names but their numbers.
fn class_names(labels: Option<&[u32]>) -> Vec<String> {
    let largest = labels.and_then(|labels| labels.iter().max());
    largest.map_or_else(Vec::new, |&largest| {
        (0..=largest).map(|class| class.to_string()).collect()
    })
}

/// An array in memory, read as the `.npy` file that it would be: its layout and range are told by the same rules.
struct InMemory<'a>(NpyStream<Chain<Cursor<&'a [u8]>, &'a [u8]>>);

impl ImageSource for InMemory<'_> {
    fn next_chunk(&mut self, max: usize) -> riptide::datasets::Result<Option<ImageSet>> {
        self.0.next_chunk(max)
    }

    fn remaining(&self) -> Option<u64> {
        self.0.remaining()
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        self.0.image_size()
    }
}

/// Arrays that an iterator gives.
struct Iterated<'a> {
    iterator: &'a Py<PyAny>,
    name: &'a str,
    /// The same for all arrays, whichever classes their labels name; none if nobody asks for labels.
    class_names: Vec<String>,
    /// What of the last array has not been handed on.
    rest: Option<ImageSet>,
}

impl Iterated<'_> {
    fn next_array(&self, py: Python<'_>) -> PyResult<Option<ImageSet>> {
        let Some(next) = self.iterator.bind(py).try_iter()?.next() else {
            return Ok(None);
        };
        let next = next?.cast_into::<Source>()?;
        let held = next.get().hold(py)?;
        let view = held.view()?;
        let whole = view.opened(Framing::Keep).and_then(|mut source| {
            let Some(set) = source.read_all()? else {
                return Ok(Some(ImageSet::unlabelled(Vec::new(), 1, 1)?));
            };
            match set.labels().map(<[u32]>::to_vec) {
                Some(labels) if !self.class_names.is_empty() => {
                    set.with_labels(labels, self.class_names.clone()).map(Some)
                }
                Some(_) => Ok(Some(ImageSet::unlabelled(
                    set.pixels().to_vec(),
                    set.height(),
                    set.width(),
                )?)),
                None => Ok(Some(set)),
            }
        });
        whole.map_err(|error| crate::errors::from(py, error))
    }
}

impl ImageSource for Iterated<'_> {
    fn next_chunk(&mut self, max: usize) -> riptide::datasets::Result<Option<ImageSet>> {
        let set = loop {
            let next = match self.rest.take() {
                Some(rest) => Some(rest),
                None => Python::attach(|py| self.next_array(py)).map_err(|error| raised(self.name, error))?,
            };
            match next {
                Some(set) if set.is_empty() => {}
                Some(set) => break set,
                None => return Ok(None),
            }
        };
        let max = max.max(1);
        if set.len() <= max {
            return Ok(Some(set));
        }
        self.rest = Some(set.slice(max..set.len())?);
        set.slice(0..max).map(Some)
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

/// An exception on its way through the library; [`errors::of`](crate::errors::of) finds it again.
fn raised(name: &str, error: PyErr) -> DatasetError {
    DatasetError::Io {
        path: name.into(),
        source: std::io::Error::other(error),
    }
}

/// Images with what was given beside them, and with an eye on signals between two chunks.
struct Given<'a> {
    inner: Box<dyn ImageSource + 'a>,
    name: &'a str,
    labels: Option<&'a [u32]>,
    class_names: Vec<String>,
    rows: Option<(usize, &'a [f32])>,
    /// Images that were handed on.
    next: usize,
}

impl Given<'_> {
    fn mismatch(&self, what: &'static str, given: usize, images: String) -> DatasetError {
        DatasetError::Mismatch {
            what,
            left: format!("{given}"),
            right: format!("{images} in {}", self.name),
        }
    }

    /// Returns an error if there is not one label and one row for each of `n` images.
    fn check_end(&self, n: usize) -> riptide::datasets::Result<()> {
        if let Some(labels) = self.labels.filter(|labels| labels.len() != n) {
            return Err(self.mismatch("number of labels", labels.len(), format!("{n} images")));
        }
        let given = self.rows.map(|(n_classes, rows)| rows.len() / n_classes.max(1));
        match given.filter(|given| *given != n) {
            Some(given) => Err(self.mismatch("rows of probabilities", given, format!("{n} images"))),
            None => Ok(()),
        }
    }
}

impl ImageSource for Given<'_> {
    fn next_chunk(&mut self, max: usize) -> riptide::datasets::Result<Option<ImageSet>> {
        Python::attach(|py| py.check_signals()).map_err(|error| raised(self.name, error))?;
        if let Some(n) = self
            .inner
            .remaining()
            .filter(|_| self.next == 0 && self.unreadable().is_none())
        {
            self.check_end(usize::try_from(n).unwrap_or(usize::MAX))?;
        }
        let chunk = self.inner.next_chunk(max)?;
        let skipped = self.inner.unreadable().map_or(0, |skipped| skipped.count);
        // Labels and rows of pictures that were passed over are passed over, too.
        let first = self.next + usize::try_from(skipped).unwrap_or(usize::MAX);
        let Some(mut chunk) = chunk else {
            self.check_end(first)?;
            return Ok(None);
        };
        let end = first + chunk.len();
        if let Some(labels) = self.labels {
            let Some(labels) = labels.get(first..end) else {
                return Err(self.mismatch("number of labels", labels.len(), format!("{end} images or more")));
            };
            chunk = chunk.with_labels(labels.to_vec(), self.class_names.clone())?;
        }
        if let Some((n_classes, rows)) = self.rows {
            let Some(rows) = rows.get(first * n_classes..end * n_classes) else {
                let given = rows.len() / n_classes.max(1);
                return Err(self.mismatch("rows of probabilities", given, format!("{end} images or more")));
            };
            chunk = chunk.with_probabilities(n_classes, rows.to_vec())?;
        }
        self.next += chunk.len();
        Ok(Some(chunk))
    }

    fn remaining(&self) -> Option<u64> {
        self.inner.remaining()
    }

    fn image_size(&self) -> Option<(usize, usize)> {
        self.inner.image_size()
    }

    fn is_live(&self) -> bool {
        self.inner.is_live()
    }

    fn unreadable(&self) -> Option<&Skipped> {
        self.inner.unreadable()
    }
}
