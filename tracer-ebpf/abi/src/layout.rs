//! Reading and writing records without `unsafe` and without a second copy of their layout.

/// A value with a fixed place in a record: an integer, an array of bytes or of integers, or another record.
pub trait Field: Sized {
    /// Size in bytes.
    const SIZE: usize;

    /// Reads the value from the start of `bytes`; `None` where they are too short.
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl Field for $int {
            const SIZE: usize = size_of::<$int>();

            fn read(bytes: &[u8]) -> Option<Self> {
                let (head, _) = bytes.split_first_chunk()?;
                Some(<$int>::from_ne_bytes(*head))
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, i32, i64);

impl<T: Field + Copy, const N: usize> Field for [T; N] {
    const SIZE: usize = N * T::SIZE;

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut values = [T::read(bytes)?; N];
        for (index, value) in values.iter_mut().enumerate() {
            *value = T::read(bytes.get(index * T::SIZE..)?)?;
        }
        Some(values)
    }
}

/// Declares a `repr(C)` structure, asserts that it has no padding and no alignment above 8 (what the ring buffer
/// gives), and derives [`Field`] from the places that the compiler gave its fields.
macro_rules! record {
    ($(#[$attr:meta])* pub struct $name:ident { $($(#[$field_attr:meta])* pub $field:ident: $ty:ty,)* }) => {
        $(#[$attr])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$field_attr])* pub $field: $ty,)* }

        const _: () = assert!(size_of::<$name>() == 0 $(+ <$ty as $crate::layout::Field>::SIZE)*, "padding");
        const _: () = assert!(align_of::<$name>() <= 8, "over-aligned");

        impl $crate::layout::Field for $name {
            const SIZE: usize = size_of::<$name>();

            fn read(bytes: &[u8]) -> Option<Self> {
                Some(Self {
                    $($field: <$ty as $crate::layout::Field>::read(
                        bytes.get(core::mem::offset_of!($name, $field)..)?,
                    )?,)*
                })
            }
        }
    };
}

pub(crate) use record;

#[cfg(test)]
mod tests {
    use super::Field;

    record! {
        /// A sample.
        #[expect(unreachable_pub, reason = "the macro makes public structures")]
        pub struct Sample {
            /// First.
            pub a: u32,
            /// Second.
            pub b: [u8; 4],
            /// Third.
            pub c: i64,
        }
    }

    #[test]
    fn reads_what_was_written_and_refuses_what_is_short() {
        let mut bytes = [0_u8; 16];
        bytes[..4].copy_from_slice(&7_u32.to_ne_bytes());
        bytes[4..8].copy_from_slice(b"abcd");
        bytes[8..].copy_from_slice(&(-3_i64).to_ne_bytes());
        assert_eq!(Sample::read(&bytes), Some(Sample { a: 7, b: *b"abcd", c: -3 }));
        assert_eq!(Sample::read(&bytes[..15]), None);
        assert_eq!(Sample::read(&[]), None);
    }

    #[test]
    fn a_longer_record_is_read_by_its_known_head() {
        let bytes = [1_u8; 64];
        assert_eq!(Sample::read(&bytes).map(|sample| sample.a), Some(0x0101_0101));
    }
}
