//! An address and headers in one buffer of exact size.
//!
//! The address is followed by the number of headers, and by the name and the value of each behind their lengths.
//! Numbers have seven bits in each byte but the last, lowest first, as in Protocol Buffers.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// Packs an address and headers. Returns the length of the address, too.
pub(super) fn pack(uri: &Uri, headers: &HeaderMap) -> (usize, Box<[u8]>) {
    let whole;
    let address = if uri.authority().is_none() {
        uri.path_and_query().map_or("", PathAndQuery::as_str)
    } else {
        // Rare: a client that uses this server as its proxy.
        whole = uri.to_string();
        &whole
    };
    let sizes = headers.iter().map(|(name, value)| {
        let (name, value) = (name.as_str().len(), value.len());
        width(name) + name + width(value << 1) + value
    });
    let size = address.len() + width(headers.len()) + sizes.sum::<usize>();
    let mut packed = Vec::with_capacity(size);
    packed.extend_from_slice(address.as_bytes());
    push_number(&mut packed, headers.len());
    for (name, value) in headers {
        push_number(&mut packed, name.as_str().len());
        packed.extend_from_slice(name.as_str().as_bytes());
        let sensitive = usize::from(value.is_sensitive());
        push_number(&mut packed, (value.len() << 1) | sensitive);
        packed.extend_from_slice(value.as_bytes());
    }
    debug_assert_eq!(packed.len(), size);
    (address.len(), packed.into_boxed_slice())
}

/// Unpacks the headers that stand behind an address of this length. The values are slices of the buffer.
pub(super) fn unpack(packed: &Bytes, address: usize) -> HeaderMap {
    let mut rest = packed.get(address..).unwrap_or_default();
    let count = take_number(&mut rest).unwrap_or_default();
    let mut headers = HeaderMap::try_with_capacity(count).unwrap_or_default();
    while let Some(header) = take_header(&mut rest) {
        // They are valid, since they were a name and a value before.
        if let Ok(name) = HeaderName::from_bytes(header.name)
            && let Ok(mut value) = HeaderValue::from_maybe_shared(packed.slice_ref(header.value))
        {
            value.set_sensitive(header.sensitive);
            let _ = headers.try_append(name, value);
        }
    }
    headers
}

/// Returns the values of a header among packed ones.
pub(super) fn values<'p>(
    mut packed: &'p [u8],
    name: &HeaderName,
) -> impl Iterator<Item = &'p [u8]> {
    take_number(&mut packed);
    let headers = std::iter::from_fn(move || take_header(&mut packed));
    let named = headers.filter(move |header| header.name == name.as_str().as_bytes());
    named.map(|header| header.value)
}

struct Header<'p> {
    name: &'p [u8],
    value: &'p [u8],
    sensitive: bool,
}

fn take_header<'p>(packed: &mut &'p [u8]) -> Option<Header<'p>> {
    let length = take_number(packed)?;
    let name = packed.split_off(..length)?;
    let number = take_number(packed)?;
    let value = packed.split_off(..number >> 1)?;
    Some(Header {
        name,
        value,
        sensitive: number & 1 == 1,
    })
}

fn push_number(packed: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        let [lowest, ..] = number.to_le_bytes();
        packed.push(lowest | 0x80);
        number >>= 7;
    }
    let [lowest, ..] = number.to_le_bytes();
    packed.push(lowest);
}

/// Returns the length of a packed number, in bytes.
const fn width(number: usize) -> usize {
    let bits = usize::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn take_number(packed: &mut &[u8]) -> Option<usize> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = *packed.split_off_first()?;
        number |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(headers: &HeaderMap) -> Bytes {
        let (address, packed) = pack(&Uri::from_static("/"), headers);
        assert_eq!(address, 1);
        packed.into()
    }

    #[test]
    fn headers_are_the_same_afterwards() {
        let mut headers = HeaderMap::new();
        assert_eq!(unpack(&packed(&headers), 1), headers);
        for (name, value) in [("cookie", "a=1"), ("x-empty", ""), ("cookie", "b=2")] {
            let value = HeaderValue::from_static(value);
            headers.append(name, value);
        }
        for size in [1, 63, 64, 127, 128, 8_191, 8_192, 100_000] {
            let name = HeaderName::try_from(format!("x-{size}")).unwrap();
            let value = HeaderValue::try_from("v".repeat(size)).unwrap();
            headers.append(name, value);
            let name = HeaderName::try_from("n".repeat(size.min(60_000))).unwrap();
            headers.append(name, HeaderValue::from_bytes(b"\xe9").unwrap());
        }
        let mut secret = HeaderValue::from_static("secret");
        secret.set_sensitive(true);
        headers.insert("authorization", secret);
        let packed = packed(&headers);
        let unpacked = unpack(&packed, 1);
        assert_eq!(unpacked, headers);
        assert!(unpacked["authorization"].is_sensitive());
        assert!(!unpacked["x-empty"].is_sensitive());
        let cookies: Vec<_> = values(&packed[1..], &http::header::COOKIE).collect();
        assert_eq!(cookies, [b"a=1", b"b=2"]);
    }

    #[test]
    fn bytes_that_are_no_headers_are_left_out() {
        let mut headers = HeaderMap::new();
        headers.insert("x-name", HeaderValue::from_static("value"));
        let packed = packed(&headers);
        for end in 0..packed.len() {
            assert!(unpack(&packed.slice(..end), 1).is_empty(), "{end}");
        }
        assert!(unpack(&Bytes::from_static(&[0xff; 32]), 0).is_empty());
    }
}
