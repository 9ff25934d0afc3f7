//! Reading members out of untrusted tar archives.
//!
//! Nothing is unpacked by the names in an archive: the caller says which file names it wants and gets their bytes. An archive
//! with a path that leaves its folder or with a link, or one that goes on for longer than the bounds, is refused.

use std::io::{self, Read};
use std::path::{Component, Path};

use tar::EntryType;

/// What an archive may expand to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes of one member.
    pub(crate) member: u64,
    /// Bytes of the whole archive, after decompression.
    pub(crate) total: u64,
    /// Members.
    pub(crate) count: usize,
}

/// Why an archive was given up.
#[derive(Debug)]
pub(crate) enum ArchiveError<E> {
    /// It is broken, or it is not an archive.
    Broken(io::Error),
    /// A member has an absolute path or one with `..`, or is a link or a device.
    Unsafe { member: String, reason: &'static str },
    /// A member, or the whole, is longer than allowed.
    TooLong { member: String, limit: u64, declared: u64 },
    /// The caller's own error.
    Caller(E),
}

/// Calls `take` with the file name, declared size and content of every regular member whose file name is `wanted`, in the
/// archive's order. The reader is then read to its end, where gzip has the checksum of everything before.
///
/// The archive is read in tar's raw mode: extended headers are skipped and not gathered in memory, so a long name or a sparse
/// map cannot be used to exhaust it; the members that are wanted have short plain names.
pub(crate) fn for_each_member<R: Read, E>(
    reader: R,
    bounds: Bounds,
    wanted: impl Fn(&str) -> bool,
    mut take: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), E>,
) -> Result<(), ArchiveError<E>> {
    let mut archive = tar::Archive::new(Bounded {
        inner: reader,
        left: bounds.total,
    });
    for (index, entry) in archive.entries().map_err(ArchiveError::Broken)?.raw(true).enumerate() {
        let mut entry = entry.map_err(ArchiveError::Broken)?;
        let kind = entry.header().entry_type();
        let path = entry.path().map_err(ArchiveError::Broken)?.into_owned();
        let member = path.display().to_string();
        if index >= bounds.count {
            let (limit, declared) = (bounds.count as u64, index as u64 + 1);
            return Err(ArchiveError::TooLong {
                member,
                limit,
                declared,
            });
        }
        let reason = if matches!(kind, EntryType::Symlink | EntryType::Link) {
            Some("it is a link")
        } else if matches!(kind, EntryType::Char | EntryType::Block | EntryType::Fifo) {
            Some("it is a device")
        } else if !stays_inside(&path) {
            Some("its path leaves the folder")
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(ArchiveError::Unsafe { member, reason });
        }
        let declared = entry.size();
        if declared > bounds.member {
            return Err(ArchiveError::TooLong {
                member,
                limit: bounds.member,
                declared,
            });
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| matches!(kind, EntryType::Regular | EntryType::Continuous) && wanted(name))
        else {
            continue;
        };
        take(name, declared, &mut entry).map_err(ArchiveError::Caller)?;
    }
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(ArchiveError::Broken)?;
    Ok(())
}

/// Whether a path has only plain components.
fn stays_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// A reader that fails, instead of ending, when more than a number of bytes have come.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    "the archive expands past its bound",
                ));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        member: 100,
        total: 20_000,
        count: 5,
    };

    /// A tar archive of one member with any path and kind.
    pub(crate) fn one_member(path: &[u8], kind: EntryType, data: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path);
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, data).unwrap();
        builder.into_inner().unwrap()
    }

    fn names(bytes: &[u8]) -> Result<Vec<String>, ArchiveError<()>> {
        let mut names = Vec::new();
        for_each_member(
            bytes,
            BOUNDS,
            |_| true,
            |name, _, _| {
                names.push(name.to_owned());
                Ok(())
            },
        )?;
        Ok(names)
    }

    #[test]
    fn plain_members_are_found_by_their_file_name() {
        assert_eq!(
            names(&one_member(b"./a/b.npy", EntryType::Regular, b"x")).unwrap(),
            ["b.npy"]
        );
        assert!(names(&one_member(b"a/", EntryType::Directory, b"")).unwrap().is_empty());
        assert!(names(&[]).unwrap().is_empty());
    }

    #[test]
    fn hostile_members_are_refused() {
        for (path, kind) in [
            (&b"../b.npy"[..], EntryType::Regular),
            (b"a/../../b.npy", EntryType::Regular),
            (b"/etc/b.npy", EntryType::Regular),
            (b"b.npy", EntryType::Symlink),
            (b"b.npy", EntryType::Link),
            (b"b.npy", EntryType::Char),
        ] {
            let outcome = names(&one_member(path, kind, b""));
            assert!(
                matches!(outcome, Err(ArchiveError::Unsafe { .. })),
                "{path:?} {kind:?}: {outcome:?}"
            );
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let long = one_member(b"b.npy", EntryType::Regular, &[0; 101]);
        assert!(matches!(
            names(&long),
            Err(ArchiveError::TooLong {
                limit: 100,
                declared: 101,
                ..
            })
        ));

        let mut many = tar::Builder::new(Vec::new());
        for index in 0..6 {
            let mut header = tar::Header::new_ustar();
            header.set_size(0);
            header.set_cksum();
            many.append_data(&mut header, format!("{index}"), &[][..]).unwrap();
        }
        assert!(matches!(
            names(&many.into_inner().unwrap()),
            Err(ArchiveError::TooLong { limit: 5, .. })
        ));

        // A "long name" of 30,000 bytes, which a reader that gathers names would keep in memory.
        let bomb = one_member(b"././@LongLink", EntryType::GNULongName, &[b'a'; 90]);
        assert!(names(&bomb).unwrap().is_empty());
        let bounds = Bounds {
            member: u64::MAX,
            ..BOUNDS
        };
        let bomb = one_member(b"././@LongLink", EntryType::GNULongName, &[b'a'; 30_000]);
        let outcome = for_each_member(&bomb[..], bounds, |_| true, |_, _, _| Ok::<_, ()>(()));
        assert!(matches!(outcome, Err(ArchiveError::Broken(_))), "{outcome:?}");
    }
}
