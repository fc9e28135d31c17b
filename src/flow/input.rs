//! Opening a log: a file, standard input or any reader, unpacked by its content.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;

/// Unpacking stops where more than this many bytes came out …
const UNPACKED_BEFORE_DOUBT: u64 = 64 << 20;
/// … and more than this many for each byte that went in. Logs reach 30, seldom 100.
const GREATEST_RATIO: u64 = 300;

/// Something to read records from.
pub enum Input {
    /// A file.
    Path(PathBuf),
    /// `-`.
    Stdin,
    /// Any stream, with a name for messages.
    Stream(String, Box<dyn Read + Send>),
}

impl Input {
    /// What was typed: a path, or `-` for standard input.
    pub fn from_argument(argument: impl Into<PathBuf>) -> Self {
        let path = argument.into();
        if path.as_os_str() == "-" { Input::Stdin } else { Input::Path(path) }
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        match self {
            Input::Path(path) => path.display().to_string(),
            Input::Stdin => "<stdin>".into(),
            Input::Stream(name, _) => name.clone(),
        }
    }

    /// Opens it, unpacking gzip and zstd by content, not by name. Beside the
    /// stream, when the input was last written, where that is known.
    pub(crate) fn open(self) -> io::Result<(Box<dyn Read + Send>, Option<jiff::Timestamp>)> {
        let (raw, written): (Box<dyn Read + Send>, _) = match self {
            Input::Path(path) => {
                let file = File::open(path)?;
                let metadata = file.metadata()?;
                if metadata.is_dir() {
                    return Err(io::Error::other("it is a folder; name the files in it"));
                }
                let written = metadata.modified().ok();
                (Box::new(file), written.and_then(|time| jiff::Timestamp::try_from(time).ok()))
            }
            Input::Stdin => (Box::new(io::stdin()), None),
            Input::Stream(_, stream) => (stream, None),
        };
        Ok((unpacked(raw)?, written))
    }
}

fn unpacked(mut raw: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = [0; 4];
    let mut length = 0;
    while let Some(rest) = magic.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match raw.read(rest) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let head = magic.get(..length).unwrap_or_default().to_vec();
    let is_gzip = head.starts_with(&[0x1f, 0x8b]);
    let is_zstd = head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let whole = Cursor::new(head).chain(raw);
    if !is_gzip && !is_zstd {
        return Ok(Box::new(whole));
    }
    let taken = Taken::default();
    let packed = BufReader::with_capacity(256 << 10, Counted { inner: whole, taken: taken.clone() });
    let unpacker: Box<dyn Read + Send> = if is_gzip {
        Box::new(MultiGzDecoder::new(packed))
    } else {
        Box::new(zstd::Decoder::with_buffer(packed)?)
    };
    Ok(Box::new(Guarded { inner: unpacker, taken, given: 0 }))
}

/// How many packed bytes were read, shared by the two ends of an unpacker.
type Taken = std::sync::Arc<std::sync::atomic::AtomicU64>;

struct Counted<R> {
    inner: R,
    taken: Taken,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.taken.fetch_add(n as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(n)
    }
}

/// Refuses to go on when far more comes out than a log can hold.
struct Guarded {
    inner: Box<dyn Read + Send>,
    taken: Taken,
    given: u64,
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.taken.load(std::sync::atomic::Ordering::Relaxed);
        if self.given > UNPACKED_BEFORE_DOUBT && self.given / GREATEST_RATIO > taken {
            return Err(io::Error::other(format!(
                "unpacks to more than {GREATEST_RATIO} times its size, as no log does; stopped after {} MiB; \
                 if you trust it, unpack it yourself and pipe it in",
                self.given >> 20
            )));
        }
        let n = self.inner.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                "what is packed in it breaks off: it is not whole, or still being written; what came before was read",
            ),
            _ => error,
        })?;
        self.given += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read_all(bytes: Vec<u8>) -> io::Result<u64> {
        let input = Input::Stream("test".into(), Box::new(Cursor::new(bytes)));
        let (mut stream, _) = input.open()?;
        io::copy(&mut stream, &mut io::sink())
    }

    #[test]
    fn gzip_and_zstd_are_known_by_content_even_in_several_members() {
        let mut packed = Vec::new();
        for part in ["one\n", "two\n"] {
            let mut gzip = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
            gzip.write_all(part.as_bytes()).unwrap();
            gzip.finish().unwrap();
        }
        assert_eq!(read_all(packed).unwrap(), 8);
        let packed = zstd::encode_all(&b"one\ntwo\n"[..], 1).unwrap();
        assert_eq!(read_all(packed).unwrap(), 8);
        assert_eq!(read_all(b"on".to_vec()).unwrap(), 2);
    }

    #[test]
    fn a_zip_bomb_is_stopped_with_a_word() {
        let zeros = io::repeat(0).take(UNPACKED_BEFORE_DOUBT + (8 << 20));
        let packed = zstd::encode_all(zeros, 1).unwrap();
        let error = read_all(packed).unwrap_err();
        assert!(error.to_string().contains("unpacks to more than"), "{error}");
    }
}
