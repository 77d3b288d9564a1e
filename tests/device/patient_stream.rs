//! A socket at which a test waits, and not for ever.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::PATIENCE;

/// What a signal interrupts is begun again: while another test's program ends,
/// some systems say so by SIGCHLD, and what has a time limit does not go on by
/// itself (signal(7)).
#[derive(Debug)]
pub(crate) struct PatientStream(TcpStream);

impl PatientStream {
    /// Connects to an address such as `127.0.0.1:8443`.
    pub(crate) fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// What is to be written has so much time.
    pub(crate) fn set_write_timeout(&self, limit: Duration) {
        self.0.set_write_timeout(Some(limit)).unwrap();
    }
}

impl Read for PatientStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        until_done(|| self.0.read(buffer))
    }
}

impl Write for PatientStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        until_done(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn until_done(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
