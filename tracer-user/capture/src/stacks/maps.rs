//! What a process has mapped as code, of `/proc/PID/maps` (proc_pid_maps(5)).

use std::ops::Range;

/// Mappings of one process that are looked at.
const MAPPINGS: usize = 65_536;

/// A mapping that may be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// Its addresses.
    pub(crate) at: Range<u64>,
    /// Place of its begin in the file.
    pub(crate) offset: u64,
    /// The file: device as the kernel writes it, and inode number; `None` for memory that is no file's.
    pub(crate) file: Option<(Vec<u8>, u64)>,
    /// Path of the file, or the kernel's name for the memory, such as `[vdso]`; often empty.
    pub(crate) name: Vec<u8>,
}

impl Mapping {
    /// Place in the file of an address.
    pub(crate) fn place(&self, address: u64) -> u64 {
        address.saturating_sub(self.at.start).saturating_add(self.offset)
    }
}

/// The mappings in order of their addresses; lines that are none are passed over.
pub(crate) fn executable(text: &[u8]) -> Vec<Mapping> {
    text.split(|byte| *byte == b'\n').filter_map(mapping).take(MAPPINGS).collect()
}

/// `55d0f0a00000-55d0f0b00000 r-xp 00001000 fd:01 1234    /usr/sbin/nginx`
fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (begin, end) = text()?.split_once('-')?;
    let at = hex(begin)?..hex(end)?;
    if text()?.as_bytes().get(2) != Some(&b'x') {
        return None;
    }
    let offset = hex(text()?)?;
    let device = text()?.as_bytes().to_vec();
    let ino: u64 = text()?.parse().ok()?;
    let name = fields.next().unwrap_or_default().trim_ascii_start().to_vec();
    Some(Mapping { at, offset, file: (ino != 0).then_some((device, ino)), name })
}

/// The mapping of an address.
pub(crate) fn find(mappings: &[Mapping], address: u64) -> Option<&Mapping> {
    let next = mappings.partition_point(|mapping| mapping.at.end <= address);
    mappings.get(next).filter(|mapping| mapping.at.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::{executable, find};

    const MAPS: &[u8] = b"\
55d0f0a00000-55d0f0b00000 r--p 00000000 fd:01 1234                       /usr/sbin/a b
55d0f0b00000-55d0f0c00000 r-xp 00001000 fd:01 1234                       /usr/sbin/a b
7f0000000000-7f0000001000 rwxp 00000000 00:00 0 
7fff00000000-7fff00001000 r-xp 00000000 00:00 0                          [vdso]
no line at all
";

    #[test]
    fn an_address_is_found_in_what_may_be_executed() {
        let found = executable(MAPS);
        assert_eq!(found.len(), 3);
        let program = find(&found, 0x55d0_f0b0_0010).unwrap();
        assert_eq!(
            (program.name.as_slice(), program.place(0x55d0_f0b0_0010)),
            (&b"/usr/sbin/a b"[..], 0x1010)
        );
        assert_eq!(program.file, Some((b"fd:01".to_vec(), 1234)));
        assert_eq!(find(&found, 0x55d0_f0a0_0010), None, "data");
        assert_eq!(find(&found, 0x55d0_f0c0_0000), None, "right behind");
        let compiled = find(&found, 0x7f00_0000_0fff).unwrap();
        assert_eq!((compiled.file.as_ref(), compiled.name.as_slice()), (None, &b""[..]));
        assert_eq!(find(&found, 0x7fff_0000_0000).unwrap().name, b"[vdso]");
    }
}
