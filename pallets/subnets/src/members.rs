//! How subnets and seats are sold, taken and given up, and what others may ask.

use alloc::vec::Vec;
use cairn_primitives::{
    traits::{Incentives, Membership, OnBurned, OnMember},
    Balance, BlockNumber, Hyperparameters, Netuid, Role, Uid, MAX_MEMBERS,
};
use cairn_protocol::{notice, registration};
use frame_support::{
    ensure,
    traits::{
        fungible::Mutate,
        tokens::{Fortitude, Precision, Preservation},
        Get,
    },
};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_runtime::{
    traits::{UniqueSaturatedInto, Verify, Zero},
    ArithmeticError, DispatchError, DispatchResult,
};

use crate::{
    pallet::{
        AuditWindow, Coldkeys, Config, CreationQuote, Dissolving, Error, Event, Hotkeys,
        LastNetuid, Members, Netuids, Pallet, RegistrationQuote, RulesOf, Subnets, Swaps, Uids,
    },
    prices, Member, Quote, Rules, Subnet,
};

/// A uid, and the member that has to make room for a newcomer there.
type Seat<AccountId> = (Uid, Option<Member<AccountId>>);

/// What anyone may ask.
impl<T: Config> Pallet<T> {
    /// A subnet: its owner, when it was created, how many members it has.
    pub fn subnet(netuid: Netuid) -> Option<Subnet<T::AccountId>> {
        Subnets::<T>::get(netuid)
    }

    /// All subnets, ascending, those that are being dissolved included.
    pub fn all_netuids() -> Vec<Netuid> {
        let mut netuids = Netuids::<T>::get().into_inner();
        let most = usize::try_from(T::MaxSubnets::get()).unwrap_or(usize::MAX);
        netuids.extend(Dissolving::<T>::iter_keys().take(most));
        netuids.sort_unstable();
        netuids
    }

    /// The block from which on a subnet gives everything back; `None` if it is not being dissolved.
    pub fn dissolves_from(netuid: Netuid) -> Option<BlockNumber> {
        Dissolving::<T>::get(netuid)
    }

    /// Who sits on a seat.
    pub fn member(netuid: Netuid, uid: Uid) -> Option<Member<T::AccountId>> {
        Members::<T>::get(netuid, uid)
    }

    /// All members, ascending by uid.
    pub fn member_list(netuid: Netuid) -> Vec<(Uid, Member<T::AccountId>)> {
        let mut members: Vec<_> = Members::<T>::iter_prefix(netuid)
            .take(MAX_MEMBERS as usize)
            .collect();
        members.sort_unstable_by_key(|(uid, _)| *uid);
        members
    }

    /// At most `limit` of the hotkeys that a coldkey has ever registered, in an order of their own: from the first, or
    /// after this one.
    pub fn hotkeys(
        coldkey: &T::AccountId,
        after: Option<&T::AccountId>,
        limit: usize,
    ) -> Vec<T::AccountId> {
        let hotkeys = match after {
            Some(after) => {
                let from = Hotkeys::<T>::hashed_key_for(coldkey, after);
                Hotkeys::<T>::iter_key_prefix_from(coldkey, from)
            }
            None => Hotkeys::<T>::iter_key_prefix(coldkey),
        };
        hotkeys.take(limit).collect()
    }

    /// The block from which on a member's role can be chosen again; `None` if it can be now.
    pub fn role_can_be_set_from(netuid: Netuid, uid: Uid) -> Option<BlockNumber> {
        let set_at = Members::<T>::get(netuid, uid)?.role_set_at?;
        let from = notice::role_from(set_at, &Self::rules(netuid)?);
        (Self::now() < from).then_some(from)
    }

    /// What a subnet costs now, in pebble.
    pub fn creation_price() -> Balance {
        let floor = T::CreationPriceFloor::get();
        CreationQuote::<T>::get().map_or(floor, |quote| {
            let elapsed = Self::since(quote.at);
            prices::falling(quote.price, floor, elapsed, T::CreationPriceDecay::get())
        })
    }

    /// The current block. Cairn counts blocks in 32 bits: enough for 816 years of 6 s.
    pub(crate) fn now() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().unique_saturated_into()
    }

    /// Blocks since `block`; none if it is still to come.
    fn since(block: BlockNumber) -> BlockNumber {
        Self::now().saturating_sub(block)
    }
}

/// Who may do what.
impl<T: Config> Pallet<T> {
    /// A subnet that goes on.
    pub(crate) fn open_subnet(netuid: Netuid) -> Result<Subnet<T::AccountId>, DispatchError> {
        let subnet = Subnets::<T>::get(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        ensure!(
            !Dissolving::<T>::contains_key(netuid),
            Error::<T>::SubnetDissolving
        );
        Ok(subnet)
    }

    /// Whether the signer, or root if there is none, rules a subnet that goes on.
    pub(crate) fn ensure_rules(
        netuid: Netuid,
        signer: Option<&T::AccountId>,
    ) -> Result<Subnet<T::AccountId>, DispatchError> {
        let subnet = Self::open_subnet(netuid)?;
        ensure!(
            signer.is_none_or(|signer| subnet.owner == *signer),
            Error::<T>::NotSubnetOwner
        );
        Ok(subnet)
    }

    /// The uid of a member whose coldkey signs.
    pub(crate) fn ensure_own_member(
        netuid: Netuid,
        signer: &T::AccountId,
        hotkey: &T::AccountId,
    ) -> Result<Uid, DispatchError> {
        let uid = Uids::<T>::get(netuid, hotkey).ok_or(Error::<T>::NotMember)?;
        let coldkey = Coldkeys::<T>::get(hotkey).ok_or(Error::<T>::NotMember)?;
        ensure!(coldkey == *signer, Error::<T>::NotHotkeysColdkey);
        Ok(uid)
    }

    /// Whether the hotkey signed that it wants to sit on this subnet as the coldkey's.
    pub(crate) fn is_hotkeys(
        signature: &T::Signature,
        netuid: Netuid,
        hotkey: &T::AccountId,
        coldkey: &T::AccountId,
    ) -> bool {
        let payload = Self::registration_payload(netuid, coldkey);
        signature.verify(payload.as_slice(), hotkey)
    }

    /// What a hotkey signs to be registered here.
    pub fn registration_payload(netuid: Netuid, coldkey: &T::AccountId) -> Vec<u8> {
        let genesis = frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::zero());
        registration::payload(&genesis, netuid, coldkey)
    }
}

/// Selling.
impl<T: Config> Pallet<T> {
    /// The netuid that the next subnet gets.
    pub(crate) fn next_netuid() -> Result<Netuid, DispatchError> {
        ensure!(
            Subnets::<T>::count() < T::MaxSubnets::get(),
            Error::<T>::TooManySubnets
        );
        LastNetuid::<T>::get()
            .next()
            .ok_or_else(|| Error::<T>::TooManySubnets.into())
    }

    /// Burns `price` from `who`, if it is not above `max_price`. The existential deposit stays, so that no dust
    /// is lost on the way.
    pub(crate) fn burn_price(
        who: &T::AccountId,
        price: Balance,
        max_price: Balance,
    ) -> DispatchResult {
        ensure!(price <= max_price, Error::<T>::PriceTooHigh);
        let burned = T::Currency::burn_from(
            who,
            price,
            Preservation::Preserve,
            Precision::Exact,
            Fortitude::Polite,
        )?;
        T::OnBurned::on_burned(burned);
        Ok(())
    }

    /// Writes a new subnet that was sold at `price`.
    pub(crate) fn found(netuid: Netuid, owner: &T::AccountId, price: Balance) -> DispatchResult {
        let at = Self::now();
        let doubled = price.checked_mul(2).ok_or(ArithmeticError::Overflow)?;
        // A chain may audit for longer than the defaults foresee.
        let defaults = Hyperparameters::default();
        let unbonding_period = defaults.unbonding_period.max(AuditWindow::<T>::get());
        let hyperparameters = Hyperparameters {
            unbonding_period,
            ..defaults
        };
        CreationQuote::<T>::put(Quote { price: doubled, at });
        RegistrationQuote::<T>::insert(
            netuid,
            Quote {
                price: hyperparameters.min_registration_price,
                at,
            },
        );
        RulesOf::<T>::insert(netuid, Rules::only(hyperparameters));
        Subnets::<T>::insert(
            netuid,
            Subnet {
                owner: owner.clone(),
                created_at: at,
                members: 0,
                was_joined: false,
            },
        );
        LastNetuid::<T>::put(netuid);
        // The largest so far: the list stays ascending.
        Netuids::<T>::try_append(netuid).map_err(|()| Error::<T>::TooManySubnets)?;
        Ok(())
    }

    /// Burns the price of a seat from `payer`, raises it for the next buyer, and returns what was paid.
    pub(crate) fn sell_seat(
        netuid: Netuid,
        payer: &T::AccountId,
        max_price: Balance,
    ) -> Result<Balance, DispatchError> {
        let h = Self::rules(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        let price = Self::price(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        Self::burn_price(payer, price, max_price)?;
        // The new quote is of this block: rules that hold since an earlier one have moved the price already.
        if RulesOf::<T>::get(netuid).is_some_and(|rules| rules.present != h) {
            RulesOf::<T>::insert(netuid, Rules::only(h.clone()));
        }
        let raised = prices::raised(price, h.registration_price_factor, h.max_registration_price);
        RegistrationQuote::<T>::insert(
            netuid,
            Quote {
                price: raised,
                at: Self::now(),
            },
        );
        Ok(price)
    }
}

/// Members that come and choose.
impl<T: Config> Pallet<T> {
    /// Sells a seat to `coldkey` and puts `hotkey` on it, whose signature the caller has seen. Returns how many members
    /// there were before.
    pub fn join(
        netuid: Netuid,
        coldkey: T::AccountId,
        hotkey: T::AccountId,
        role: Role,
        max_price: Balance,
    ) -> Result<u32, DispatchError> {
        let mut subnet = Self::open_subnet(netuid)?;
        let members = u32::from(subnet.members);
        Self::ensure_may_sit(netuid, &hotkey, &coldkey)?;
        let (uid, sitting) = Self::find_seat(netuid, &subnet)?;
        let price = Self::sell_seat(netuid, &coldkey, max_price)?;
        if let Some(member) = sitting {
            Self::unseat(netuid, uid, &mut subnet, &member.hotkey)?;
        }
        let member = Member {
            hotkey: hotkey.clone(),
            coldkey: coldkey.clone(),
            registered_at: Self::now(),
            role,
            role_set_at: None,
        };
        Self::seat(netuid, uid, &mut subnet, member)?;
        Subnets::<T>::insert(netuid, subnet);
        Self::deposit_event(Event::MemberJoined {
            netuid,
            uid,
            hotkey: hotkey.clone(),
            coldkey,
            price,
            role,
        });
        T::OnMember::on_joined(netuid, uid, &hotkey);
        Ok(members)
    }

    /// Gives a member another role, if it may have another now.
    pub(crate) fn change_role(netuid: Netuid, uid: Uid, role: Role) -> DispatchResult {
        let mut member = Members::<T>::get(netuid, uid).ok_or(Error::<T>::NotMember)?;
        ensure!(member.role != role, Error::<T>::RoleUnchanged);
        ensure!(
            Self::role_can_be_set_from(netuid, uid).is_none(),
            Error::<T>::RoleTooSoon
        );
        member.role = role;
        member.role_set_at = Some(Self::now());
        Members::<T>::insert(netuid, uid, member);
        Ok(())
    }
}

/// Taking and giving up seats. The caller writes the changed [`Subnet`] back.
impl<T: Config> Pallet<T> {
    /// The seat for a newcomer: the lowest free one or, on a full subnet, that of the member who has to go.
    pub(crate) fn find_seat(
        netuid: Netuid,
        subnet: &Subnet<T::AccountId>,
    ) -> Result<Seat<T::AccountId>, DispatchError> {
        let h = Self::rules(netuid).ok_or(Error::<T>::UnknownSubnet)?;
        let found = if subnet.members < h.max_members {
            // Of the uids 0 to `members` at least one is free.
            (0..=subnet.members)
                .map(Uid)
                .find(|uid| !Members::<T>::contains_key(netuid, uid))
                .map(|uid| (uid, None))
        } else {
            Self::replaceable(netuid, &subnet.owner, h.immunity_period)
                .map(|(uid, member)| (uid, Some(member)))
        };
        found.ok_or_else(|| Error::<T>::SubnetFull.into())
    }

    /// The member whom a newcomer replaces: [`registration::replaced`].
    fn replaceable(
        netuid: Netuid,
        owner: &T::AccountId,
        immunity_period: BlockNumber,
    ) -> Option<(Uid, Member<T::AccountId>)> {
        let mut members = Self::member_list(netuid);
        let seats = members.iter().map(|(uid, member)| registration::Seat {
            uid: *uid,
            is_owners: member.coldkey == *owner,
            registered_at: member.registered_at,
        });
        let last_paid = |uid| T::Incentives::last_paid(netuid, uid);
        let now = Self::now();
        let replaced = registration::replaced(seats, immunity_period, now, last_paid)?;
        let place = members.iter().position(|(uid, _)| *uid == replaced)?;
        Some(members.swap_remove(place))
    }

    /// Puts a member on a free seat; if its hotkey was nobody's it is the coldkey's from now on.
    pub(crate) fn seat(
        netuid: Netuid,
        uid: Uid,
        subnet: &mut Subnet<T::AccountId>,
        member: Member<T::AccountId>,
    ) -> DispatchResult {
        subnet.members = subnet
            .members
            .checked_add(1)
            .ok_or(ArithmeticError::Overflow)?;
        subnet.was_joined = true;
        let Member {
            hotkey, coldkey, ..
        } = &member;
        Coldkeys::<T>::insert(hotkey, coldkey);
        Hotkeys::<T>::insert(coldkey, hotkey, ());
        Uids::<T>::insert(netuid, hotkey, uid);
        frame_system::Pallet::<T>::inc_sufficients(hotkey);
        Members::<T>::insert(netuid, uid, member);
        Ok(())
    }

    /// Takes `hotkey` off its seat and tells everybody.
    pub(crate) fn unseat(
        netuid: Netuid,
        uid: Uid,
        subnet: &mut Subnet<T::AccountId>,
        hotkey: &T::AccountId,
    ) -> DispatchResult {
        subnet.members = subnet
            .members
            .checked_sub(1)
            .ok_or(ArithmeticError::Underflow)?;
        Members::<T>::remove(netuid, uid);
        Swaps::<T>::remove(netuid, uid);
        Uids::<T>::remove(netuid, hotkey);
        Self::deposit_event(Event::MemberLeft {
            netuid,
            uid,
            hotkey: hotkey.clone(),
        });
        T::OnMember::on_left(netuid, uid, hotkey);
        // Afterwards: whoever still has to hear of the hotkey holds its account.
        frame_system::Pallet::<T>::dec_sufficients(hotkey);
        Ok(())
    }
}

impl<T: Config> Membership<T::AccountId> for Pallet<T> {
    fn netuids() -> Vec<Netuid> {
        Netuids::<T>::get().into_inner()
    }

    fn is_dissolving(netuid: Netuid) -> bool {
        Dissolving::<T>::contains_key(netuid)
    }

    fn hyperparameters(netuid: Netuid) -> Option<Hyperparameters> {
        Self::rules(netuid)
    }

    fn announced(netuid: Netuid) -> Option<Hyperparameters> {
        Self::announced_rules(netuid).map(|announced| announced.rules)
    }

    fn owner(netuid: Netuid) -> Option<T::AccountId> {
        Subnets::<T>::get(netuid).map(|subnet| subnet.owner)
    }

    fn uid(netuid: Netuid, hotkey: &T::AccountId) -> Option<Uid> {
        Uids::<T>::get(netuid, hotkey)
    }

    fn hotkey(netuid: Netuid, uid: Uid) -> Option<T::AccountId> {
        Members::<T>::get(netuid, uid).map(|member| member.hotkey)
    }

    fn coldkey(hotkey: &T::AccountId) -> Option<T::AccountId> {
        Coldkeys::<T>::get(hotkey)
    }

    fn role(netuid: Netuid, uid: Uid) -> Option<Role> {
        Members::<T>::get(netuid, uid).map(|member| member.role)
    }

    fn registered_at(netuid: Netuid, uid: Uid) -> Option<BlockNumber> {
        Members::<T>::get(netuid, uid).map(|member| member.registered_at)
    }

    fn members(netuid: Netuid) -> Vec<(Uid, T::AccountId)> {
        let list = Self::member_list(netuid);
        list.into_iter()
            .map(|(uid, member)| (uid, member.hotkey))
            .collect()
    }
}
