//! The rules of a subnet: which hold now, which will, and how they change.

use cairn_primitives::{traits::Runs, Balance, BlockNumber, Hyperparameters, Netuid};
use cairn_protocol::notice;
use frame_support::{ensure, traits::Get};
use sp_runtime::{ArithmeticError, DispatchResult};

use crate::{
    limits,
    pallet::{Config, Error, Event, HyperparametersSetAt, Pallet, RegistrationQuote, RulesOf},
    prices, Announced, Quote, Rules,
};

/// What anyone may ask.
impl<T: Config> Pallet<T> {
    /// The hyperparameters that hold in this block.
    pub fn rules(netuid: Netuid) -> Option<Hyperparameters> {
        Some(RulesOf::<T>::get(netuid)?.at(Self::now()))
    }

    /// The hyperparameters that were announced and do not hold yet.
    pub fn announced_rules(netuid: Netuid) -> Option<Announced> {
        RulesOf::<T>::get(netuid)?.to_come(Self::now())
    }

    /// The block from which on a subnet's owner can set hyperparameters again; `None` if he can now.
    pub fn can_be_set_from(netuid: Netuid) -> Option<BlockNumber> {
        let from = HyperparametersSetAt::<T>::get(netuid)?
            .saturating_add(T::HyperparametersRateLimit::get());
        (Self::now() < from).then_some(from)
    }

    /// What a seat costs now, in pebble; `None` if there is no such subnet.
    pub fn price(netuid: Netuid) -> Option<Balance> {
        let quote = RegistrationQuote::<T>::get(netuid)?;
        let Rules { present, announced } = RulesOf::<T>::get(netuid)?;
        let now = Self::now();
        Some(match announced.filter(|announced| announced.from <= now) {
            None => fallen(quote, now, &present),
            Some(Announced { from, rules }) => {
                let price = fallen(quote, from, &present);
                fallen(Quote { price, at: from }, now, &rules)
            }
        })
    }
}

/// A price at block `now`, between the ends that the rules give it.
fn fallen(quote: Quote, now: BlockNumber, rules: &Hyperparameters) -> Balance {
    let elapsed = now.saturating_sub(quote.at);
    prices::decayed(quote.price, elapsed, rules.registration_half_life)
        .max(rules.min_registration_price)
        .min(rules.max_registration_price)
}

impl<T: Config> Pallet<T> {
    /// Whether hyperparameters may be set: they are within their limits, and scores stay hidden during a run. What is
    /// announced may not ask for much more at once.
    pub(crate) fn ensure_may_be_set(
        netuid: Netuid,
        rules: &Hyperparameters,
        announces: bool,
    ) -> DispatchResult {
        limits::check::<T>(rules)?;
        let present = Self::rules(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        let uncovers = present.commit_reveal && !rules.commit_reveal;
        ensure!(
            !uncovers || !T::Runs::has_run(netuid),
            Error::<T>::RunNeedsCommitReveal
        );
        ensure!(
            !announces || notice::is_gradual(&present, rules),
            Error::<T>::RaisedTooMuch
        );
        Ok(())
    }

    /// Notes that a subnet's owner changes its hyperparameters, if he may do so again.
    pub(crate) fn note_change(netuid: Netuid) -> DispatchResult {
        ensure!(
            Self::can_be_set_from(netuid).is_none(),
            Error::<T>::HyperparametersTooSoon
        );
        HyperparametersSetAt::<T>::insert(netuid, Self::now());
        Ok(())
    }

    /// Announces hyperparameters; others that were announced and do not hold yet never will.
    pub(crate) fn announce(netuid: Netuid, rules: Hyperparameters) -> DispatchResult {
        let present = Self::rules(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        let from = notice::rules_from(Self::now(), &present).ok_or(ArithmeticError::Overflow)?;
        Self::keep_only(netuid, present)?;
        let announced = Some(Announced { from, rules });
        RulesOf::<T>::mutate_extant(netuid, |kept| kept.announced = announced);
        Self::deposit_event(Event::HyperparametersAnnounced { netuid, from });
        Ok(())
    }

    /// Makes hyperparameters hold at once.
    pub(crate) fn put_in_force(netuid: Netuid, rules: Hyperparameters) -> DispatchResult {
        Self::keep_only(netuid, rules)?;
        Self::deposit_event(Event::HyperparametersSet { netuid });
        Ok(())
    }

    /// Takes announced hyperparameters back.
    pub(crate) fn withdraw_announced(netuid: Netuid) -> DispatchResult {
        ensure!(
            Self::announced_rules(netuid).is_some(),
            Error::<T>::NothingAnnounced
        );
        let present = Self::rules(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        Self::keep_only(netuid, present)?;
        Self::deposit_event(Event::HyperparametersWithdrawn { netuid });
        Ok(())
    }

    /// Writes the hyperparameters that hold from now on, with none announced, and the price as it is now: under another
    /// half-life the time since the last sale would give another one.
    pub(crate) fn keep_only(netuid: Netuid, rules: Hyperparameters) -> DispatchResult {
        let price = Self::price(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        let at = Self::now();
        RegistrationQuote::<T>::insert(netuid, Quote { price, at });
        RulesOf::<T>::insert(netuid, Rules::only(rules));
        Ok(())
    }
}
