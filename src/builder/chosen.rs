//! The options that a namespace sets itself.

use crate::namespace::{NamespaceOptions, Order, Unhandled};
use crate::rooms::recovery::Recovery;
use proto::Surplus;

/// The options that a namespace sets itself.
#[derive(Debug, Default)]
pub(super) struct ChosenOptions {
    pub(super) order: Option<Order>,
    pub(super) max_pending: Option<usize>,
    pub(super) unhandled: Option<Unhandled>,
    pub(super) surplus: Option<Surplus>,
    pub(super) recovery: Option<Option<Recovery>>,
    pub(super) ordered_broadcasts: Option<bool>,
}

impl ChosenOptions {
    /// Sets the options that `other` has chosen. Returns the name of one for which both have chosen different values.
    pub(super) fn merge(&mut self, other: &Self) -> Option<&'static str> {
        let Self {
            order,
            max_pending,
            unhandled,
            surplus,
            recovery,
            ordered_broadcasts,
        } = *other;
        let differing = [
            differs(&mut self.order, order).then_some("order"),
            differs(&mut self.max_pending, max_pending).then_some("max_pending"),
            differs(&mut self.unhandled, unhandled).then_some("unhandled"),
            differs(&mut self.surplus, surplus).then_some("strict_arguments"),
            differs(&mut self.recovery, recovery).then_some("recovery"),
            differs(&mut self.ordered_broadcasts, ordered_broadcasts)
                .then_some("ordered_broadcasts"),
        ];
        differing.into_iter().flatten().next()
    }

    /// Applies the options to those of the server.
    pub(super) fn apply(self, options: &mut NamespaceOptions) {
        options.order = self.order.unwrap_or(options.order);
        options.max_pending = self.max_pending.unwrap_or(options.max_pending);
        options.unhandled = self.unhandled.unwrap_or(options.unhandled);
        options.surplus = self.surplus.unwrap_or(options.surplus);
        options.recovery = self.recovery.unwrap_or(options.recovery);
        options.ordered_broadcasts = self
            .ordered_broadcasts
            .unwrap_or(options.ordered_broadcasts);
    }
}

/// Sets an option that has not been set. Returns true if it has been, to another value.
fn differs<T: PartialEq>(option: &mut Option<T>, other: Option<T>) -> bool {
    match (&*option, other) {
        (_, None) => false,
        (None, other) => {
            *option = other;
            false
        }
        (Some(value), Some(other)) => *value != other,
    }
}
