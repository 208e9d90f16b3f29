//! The compression of frames, once for all connections whose parameters allow it.

use std::sync::Arc;

use super::deflated::{CompressedParts, Deflated, SharedDeflated};
use super::{Frame, Part};
use proto::websocket::{Deflater, Header, Opcode};

impl Frame {
    /// Marks a frame for several recipients, so that their connections share the compressed form. Does nothing if
    /// compression is disabled or every part is below the threshold.
    pub(crate) fn for_many(mut self, threshold: Option<usize>) -> Self {
        if self.deflated.is_none() && threshold.is_some_and(|threshold| self.has_over(threshold)) {
            self.deflated = Some(Arc::default());
        }
        self
    }

    /// Marks a frame as not to be compressed.
    pub(crate) fn uncompressed(mut self) -> Self {
        self.deflated = Some(SharedDeflated::known(None));
        self
    }

    /// Returns a clone that does not share the compressed form with the current recipients.
    pub(crate) fn unshared(&self) -> Self {
        let never = |shared: &Deflated| matches!(shared.parts.get(), Some(None));
        let mut unshared = self.clone();
        unshared.deflated = unshared.deflated.filter(never);
        unshared
    }

    /// Compresses a frame for one connection, unless the form for connections with its parameters exists already.
    pub(crate) fn compress(&mut self, deflater: &mut Deflater) {
        let shared = match &self.deflated {
            None if !self.has_over(deflater.threshold()) => return,
            Some(shared) if matches!(shared.parts.get(), Some(None)) => return,
            Some(shared) => deflater.shared_window().map(|bits| (shared, bits)),
            None => None,
        };
        let Some((shared, bits)) = shared else {
            self.deflated = Some(SharedDeflated::known(self.deflate(deflater)));
            return;
        };
        let narrow = shared.narrow(bits);
        let of_window = narrow.unwrap_or(shared);
        of_window.parts.get_or_init(|| self.deflate(deflater));
        if let Some(narrow) = narrow.map(Arc::clone) {
            self.deflated = Some(narrow);
        }
    }

    fn has_over(&self, threshold: usize) -> bool {
        self.parts().any(|part| part.data().len() >= threshold)
    }

    fn deflate(&self, deflater: &mut Deflater) -> Option<CompressedParts> {
        let deflate = |part: Part<'_>| {
            let data = deflater.deflate(part.data())?;
            let header = Header::new(part.opcode(), data.len()).compressed();
            Some([header.as_slice(), &data].concat().into())
        };
        // The first entry is for the text, which another parser does not have.
        let no_text = self.is_of_another_parser().then_some(None);
        let parts = no_text.into_iter().chain(self.parts().map(deflate));
        let parts: Box<[_]> = parts.collect();
        parts
            .iter()
            .any(Option::is_some)
            .then_some(CompressedParts(parts))
    }
}

impl Part<'_> {
    fn data(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Binary(attachment) => attachment.data(),
        }
    }

    const fn opcode(&self) -> Opcode {
        match self {
            Self::Text(_) => Opcode::Text,
            Self::Binary(_) => Opcode::Binary,
        }
    }
}

#[cfg(feature = "compression")]
#[cfg(test)]
mod tests {
    use super::*;
    use proto::socket_io::{EncodedPacket, Kind};
    use proto::websocket::{Compression, negotiate};

    fn deflater(offer: &str) -> Deflater {
        let mut wanted = Compression::new().threshold(0);
        if offer.is_empty() {
            wanted = wanted.server_context_takeover();
        }
        let offer = format!("permessage-deflate{offer}");
        Deflater::new(&negotiate([&*offer], &wanted).unwrap().0)
    }

    fn compressed(frame: &Frame, offer: &str) -> Frame {
        let mut frame = frame.clone();
        frame.compress(&mut deflater(offer));
        frame
    }

    #[test]
    fn connections_with_windows_of_one_size_share_what_is_made_of_a_message() {
        let nsp = format!("/{}", "x".repeat(1000));
        let frame =
            Frame::new(EncodedPacket::plain(Kind::Disconnect, &nsp, None)).for_many(Some(0));
        let offers: Vec<_> = (9..=15)
            .map(|bits| format!("; server_max_window_bits={bits}"))
            .collect();
        let mut made = Vec::new();
        for offer in &offers {
            let (one, other) = (compressed(&frame, offer), compressed(&frame, offer));
            let [one, other] = [one, other].map(|frame| frame.deflated.unwrap());
            assert!(one.parts().is_some() && Arc::ptr_eq(&one, &other));
            assert!(made.iter().all(|known| !Arc::ptr_eq(known, &one)));
            made.push(one);
        }
        let own = compressed(&frame, "").deflated.unwrap();
        assert!(own.parts().is_some());
        assert!(made.iter().all(|known| !Arc::ptr_eq(known, &own)));
        let unshared = frame.unshared();
        assert!(frame.deflated.is_some() && unshared.deflated.is_none());
        assert!(frame.clone().uncompressed().unshared().deflated.is_some());
        for offer in offers.iter().map(String::as_str).chain([""]) {
            let plain = compressed(&frame.clone().uncompressed(), offer);
            assert!(plain.deflated.unwrap().parts().is_none());
        }
    }
}
