//! A stream cut into blocks of whole lines, so that lines can be borrowed and
//! blocks read in parallel, in bounded memory whatever the stream holds.

use std::io::{self, ErrorKind, Read};

use memchr::{memchr, memchr_iter, memrchr};

/// How much is read at a time.
const BLOCK: usize = 64 << 10;

/// The longest line that is read; longer ones are reported and passed over.
pub(crate) const LONGEST_LINE: usize = 16 << 20;

/// A run of whole lines. Its buffer is used again for later blocks.
#[derive(Default)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    /// The number of the first line.
    pub(crate) first_line: u64,
    /// The line after the last one here was too long and has been passed over.
    pub(crate) too_long: bool,
    /// The last line has no line end: the stream stops there.
    pub(crate) unfinished: bool,
}

impl Block {
    /// The lines, without their ends.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn lines(&self) -> u64 {
        memchr_iter(b'\n', &self.bytes).count() as u64
    }
}

/// Cuts a stream into blocks.
pub(crate) struct Blocks<R> {
    stream: R,
    /// The beginning of a line whose end has not been read.
    rest: Vec<u8>,
    next_line: u64,
    /// Give lines as soon as they are there, for a pipe that is being written.
    eager: bool,
    ended: bool,
    /// What the stream answered after the last bytes that it gave.
    error: Option<io::Error>,
}

impl<R: Read> Blocks<R> {
    pub(crate) fn new(stream: R, eager: bool) -> Self {
        Self { stream, rest: Vec::new(), next_line: 1, eager, ended: false, error: None }
    }

    /// How many lines were given so far.
    pub(crate) fn lines_read(&self) -> u64 {
        self.next_line - 1
    }

    /// Fills `block` with the next lines; false at the end of the stream.
    ///
    /// # Errors
    ///
    /// Whatever the stream answers, after all lines before it were given.
    pub(crate) fn next(&mut self, block: &mut Block) -> io::Result<bool> {
        block.bytes.clear();
        if block.bytes.capacity() > 4 * BLOCK {
            // One long line does not make all later blocks large.
            block.bytes = Vec::new();
        }
        std::mem::swap(&mut block.bytes, &mut self.rest);
        block.first_line = self.next_line;
        block.too_long = false;
        block.unfinished = false;
        let mut searched = 0;
        while !self.ended {
            let before = block.bytes.len();
            let room = if before < BLOCK { BLOCK - before } else { BLOCK };
            self.ended = !self.read_some(&mut block.bytes, room)?;
            let fresh = block.bytes.get(searched..).unwrap_or_default();
            if let Some(at) = memrchr(b'\n', fresh) {
                self.rest.clear();
                self.rest.extend_from_slice(fresh.get(at + 1..).unwrap_or_default());
                block.bytes.truncate(searched + at + 1);
                self.next_line += block.lines();
                return Ok(true);
            }
            searched = block.bytes.len();
            if searched > LONGEST_LINE {
                block.bytes = Vec::new();
                block.too_long = true;
                self.next_line += 1;
                self.skip_line()?;
                return Ok(true);
            }
        }
        block.unfinished = !block.bytes.is_empty();
        Ok(block.unfinished)
    }

    /// Appends up to `room` bytes; false at the end of the stream. What came
    /// before an error is given first.
    fn read_some(&mut self, bytes: &mut Vec<u8>, room: usize) -> io::Result<bool> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let start = bytes.len();
        let read = if self.eager {
            self.read_once(bytes, room)
        } else {
            (&mut self.stream).take(room as u64).read_to_end(bytes).map(|read| read == room)
        };
        match read {
            Err(error) if bytes.len() > start => {
                self.error = Some(error);
                Ok(true)
            }
            read => read,
        }
    }

    fn read_once(&mut self, bytes: &mut Vec<u8>, room: usize) -> io::Result<bool> {
        let start = bytes.len();
        bytes.resize(start + room, 0);
        let read = loop {
            match self.stream.read(bytes.get_mut(start..).unwrap_or_default()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        bytes.truncate(start + *read.as_ref().unwrap_or(&0));
        read.map(|read| read > 0)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; BLOCK];
        loop {
            let n = match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read = buffer.get(..n).unwrap_or_default();
            if let Some(at) = memchr(b'\n', read) {
                self.rest = read.get(at + 1..).unwrap_or_default().to_vec();
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that gives as little at a time as it may.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(self.0.len()).min(7);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn blocks(text: &[u8], eager: bool) -> Vec<(u64, Vec<u8>, bool, bool)> {
        let mut blocks = Blocks::new(Dripping(text), eager);
        let mut block = Block::default();
        let mut all = Vec::new();
        while blocks.next(&mut block).unwrap() {
            all.push((block.first_line, block.bytes.clone(), block.too_long, block.unfinished));
        }
        all
    }

    #[test]
    fn lines_stay_whole_and_keep_their_numbers() {
        let text = b"first line\nsecond\nthird line\n\nfifth";
        for eager in [false, true] {
            let all = blocks(text, eager);
            let joined: Vec<u8> = all.iter().flat_map(|block| block.1.clone()).collect();
            assert_eq!(joined, text);
            for (number, bytes, ..) in &all {
                let at = memchr::memmem::find(text, bytes).unwrap();
                let before = text[..at].iter().filter(|&&b| b == b'\n').count() as u64;
                assert_eq!(*number, before + 1);
            }
            assert!(all.last().unwrap().3, "the last line has no end");
        }
        assert!(blocks(text, true).len() > 2, "a live stream is not waited for");
    }

    #[test]
    fn a_line_longer_than_any_record_is_passed_over() {
        let mut text = b"one\n".to_vec();
        text.resize(text.len() + LONGEST_LINE + 2 * BLOCK, b'x');
        text.extend_from_slice(b"\nthree\n");
        let mut blocks = Blocks::new(&text[..], false);
        let mut block = Block::default();
        let mut seen = Vec::new();
        while blocks.next(&mut block).unwrap() {
            assert!(block.bytes.capacity() <= LONGEST_LINE * 3);
            seen.push((block.first_line, block.bytes.clone(), block.too_long));
        }
        assert_eq!(
            seen,
            [(1, b"one\n".to_vec(), false), (2, Vec::new(), true), (3, b"three\n".to_vec(), false)]
        );
    }
}
