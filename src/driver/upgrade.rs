//! The upgrade of a connection from polling to a full-duplex transport.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::duplexes::close_in_background;
use super::task::ConnectionTask;
use crate::metrics::{Counted, UpgradeOutcome};
use crate::outbox::Readiness;
use crate::transport::{End, Reading};
use proto::engine_io::Transport;
use proto::session::{Control, SessionInput};

impl ConnectionTask {
    /// Reads and writes the transport that probes. Returns true if it should be read again at once.
    pub(super) fn read_probe(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(probe) = &mut self.duplexes.probe else {
            return false;
        };
        // One packet is read at a time: the packets after the upgrade belong to the session.
        let mut reading = Reading::one();
        let read = probe.poll_packets(cx, &mut reading);
        let packet = reading.batch.next();
        reading.put_back();
        // The read may have ended after many frames that are not packets.
        let any = matches!(read, Poll::Ready(Ok(())));
        if let Some(packet) = packet {
            self.input(SessionInput::ProbePacket(packet), cx);
        } else if let Poll::Ready(Err(end)) = read {
            if let End::Violation(violation) = end {
                self.is_too_big(violation);
            }
            self.probe_lost(cx);
        }
        if let Some(probe) = &mut self.duplexes.probe
            && let Poll::Ready(Err(_)) = probe.poll_write(cx)
        {
            self.probe_lost(cx);
        }
        any
    }

    fn probe_lost(&mut self, cx: &mut Context<'_>) {
        self.probe_over();
        self.input(SessionInput::ProbeLost, cx);
    }

    pub(super) fn probe_over(&mut self) {
        if let Some(probe) = self.duplexes.probe.take() {
            close_in_background(probe);
        }
        self.dispatch
            .counters()
            .add(Counted::Upgrades(UpgradeOutcome::Failed), 1);
        self.registration
            .entry
            .upgrading
            .store(false, Ordering::Release);
    }

    pub(super) fn upgrade(&mut self) {
        self.answer_poll(&[Control::Noop]);
        let Some(main) = self.duplexes.probe.take() else {
            return;
        };
        let transport = main.kind();
        self.client.set_transport(transport);
        self.registration.entry.inbox.shrink();
        self.count_upgrade(transport);
        let outbox = &self.client.outbox;
        outbox.set_readiness(Readiness::Ready);
        main.open_direct(outbox);
        self.duplexes.main = Some(main);
    }

    fn count_upgrade(&self, transport: Transport) {
        let counters = self.dispatch.counters();
        counters.add(Counted::Upgrades(UpgradeOutcome::Done), 1);
        counters.sub(Counted::Connections(Transport::Polling), 1);
        counters.add(Counted::Connections(transport), 1);
    }
}
