//! What an account can spend.

use cairn_chain::{AccountBalance, AccountId, Call, Client};
use cairn_primitives::Balance;

use super::signer::Signer;
use crate::{
    amount::{cost, Part},
    error::Failure,
};

/// What an account can spend on a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    address: AccountId,
    /// Without what is locked and what keeps the account open.
    free: Balance,
    /// What keeps the account open.
    deposit: Balance,
    /// How much of that is missing.
    short: Balance,
    /// None, if another account pays it.
    fee: Balance,
}

impl Purse {
    /// The purse of the account for which such a call is made. The amount in it should be as long as any.
    pub async fn of(client: &Client, signer: &Signer, call: &Call) -> Result<Purse, Failure> {
        let address = signer.account();
        let fee = match signer.payer() == address {
            true => client.fee(call, address).await?,
            false => 0,
        };
        Purse::ask(client, address, fee).await
    }

    /// The purse of who signs such a call, and pays the fee.
    pub async fn of_payer(client: &Client, signer: &Signer, call: &Call) -> Result<Purse, Failure> {
        let address = signer.payer();
        let fee = client
            .fee(&signer.signed(client, call).await?, address)
            .await?;
        Purse::ask(client, address, fee).await
    }

    async fn ask(client: &Client, address: AccountId, fee: Balance) -> Result<Purse, Failure> {
        let balance = client.at_best().await?.balance(&address).await?;
        let deposit = client.constant("Balances", "ExistentialDeposit").await?;
        Ok(Purse::new(address, balance, deposit, fee))
    }

    fn new(address: AccountId, balance: AccountBalance, deposit: Balance, fee: Balance) -> Purse {
        // Locks reach what is reserved first, and what is locked keeps the account open as well.
        let kept = balance.frozen.saturating_sub(balance.reserved).max(deposit);
        Purse {
            address,
            free: balance.free.saturating_sub(kept),
            deposit,
            short: kept.saturating_sub(balance.free),
            fee,
        }
    }

    /// The least that an account can have.
    pub fn deposit(&self) -> Balance {
        self.deposit
    }

    /// The most that can be spent.
    pub fn most(&self) -> Balance {
        self.free.saturating_sub(self.fee)
    }

    /// An amount, or all that can be spent.
    ///
    /// # Errors
    /// If there is less: what there is, what it takes, and the most that is possible.
    pub fn take(&self, part: Part) -> Result<Balance, Failure> {
        let most = self.most();
        match part.0 {
            Some(amount) if amount <= most => Ok(amount),
            None if most > 0 => Ok(most),
            asked => Err(self.too_little(asked.unwrap_or(0), "`all` takes it")),
        }
    }

    /// The same, where what is taken is to be got back later: all leaves the fees of doing so.
    ///
    /// # Errors
    /// As [`Purse::take`].
    pub fn invest(&self, part: Part) -> Result<Balance, Failure> {
        let all = self.most().saturating_sub(self.way_back());
        match part.0 {
            None if all > 0 => Ok(all),
            Some(amount) if amount > self.most() => {
                Err(self.too_little(amount, "`all` leaves the fees of getting it back"))
            }
            _ => self.take(part),
        }
    }

    /// About the fees of asking back what was staked or bonded, and of withdrawing it, twice.
    pub fn way_back(&self) -> Balance {
        self.fee.saturating_mul(4)
    }

    /// Why the fee alone could not be paid; `None` if it can be.
    pub fn cannot_pay(&self) -> Option<Failure> {
        (self.free < self.fee).then(|| {
            Failure::new(
                format!(
                    "{} has {} to spend, and the fee is {}",
                    self.address,
                    cost(self.free),
                    cost(self.fee)
                ),
                format!("send the account {} more", cost(self.missing(0))),
            )
        })
    }

    /// What would have to come before so much can be spent.
    fn missing(&self, amount: Balance) -> Balance {
        let needed = amount.saturating_add(self.fee).saturating_add(self.short);
        needed.saturating_sub(self.free)
    }

    /// `all` says what that word would do.
    fn too_little(&self, amount: Balance, all: &str) -> Failure {
        let what = format!(
            "{} has {} to spend, besides {} that keep the account open",
            self.address,
            cost(self.free),
            cost(self.deposit)
        );
        match (self.most(), self.fee) {
            (0, 0) => Failure::new(what, "send the account some CRN"),
            (0, fee) => Failure::new(
                format!("{what}; the fee alone is {}", cost(fee)),
                "send the account some CRN",
            ),
            (most, 0) => Failure::new(
                format!("{what}; {} are more", cost(amount)),
                format!("the most is {}; {all}", cost(most)),
            ),
            (most, fee) => Failure::new(
                format!(
                    "{what}; {} and the fee of {} are more",
                    cost(amount),
                    cost(fee)
                ),
                format!("the most is {}; {all}", cost(most)),
            ),
        }
    }

    /// Makes sure that there is enough for a price.
    ///
    /// # Errors
    /// If there is not: what there is, and what it takes.
    pub fn afford(&self, what: &str, price: Balance) -> Result<(), Failure> {
        if price <= self.most() {
            return Ok(());
        }
        let missing = self.missing(price);
        let fee = match self.fee {
            0 => String::new(),
            fee => format!(" and the fee is {}", cost(fee)),
        };
        Err(Failure::new(
            format!(
                "{what} costs {}{fee}, and {} has {} to spend",
                cost(price),
                self.address,
                cost(self.free)
            ),
            format!("send the account {} more", cost(missing)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::CRN;

    fn purse(free: Balance, reserved: Balance, frozen: Balance) -> Purse {
        let balance = AccountBalance {
            free,
            reserved,
            frozen,
        };
        Purse::new(AccountId([7; 32]), balance, 500, 1_000)
    }

    #[test]
    fn all_leaves_the_fee_and_what_keeps_the_account_open() {
        assert_eq!(
            purse(5 * CRN, 0, 0).take(Part(None)).unwrap(),
            5 * CRN - 1_500
        );
        assert_eq!(purse(5 * CRN, 0, 2 * CRN).most(), 3 * CRN - 1_000);
        assert_eq!(purse(5 * CRN, CRN, 2 * CRN).most(), 4 * CRN - 1_000);
        assert_eq!(purse(5 * CRN, 0, 400).most(), 5 * CRN - 1_500);
        let exactly = Part(Some(5 * CRN - 1_500));
        assert_eq!(purse(5 * CRN, 0, 0).take(exactly).unwrap(), 5 * CRN - 1_500);
    }

    #[test]
    fn what_is_too_much_is_answered_with_what_there_is() {
        let error = purse(5 * CRN, 0, 0).take(Part(Some(5 * CRN))).unwrap_err();
        let text = error.to_string();
        for words in [
            "4.9999995 CRN",
            "5.00 CRN",
            "0.000001 CRN",
            "4.9999985 CRN",
            "`all`",
        ] {
            assert!(text.contains(words), "`{words}` is not in: {text}");
        }
        for poor in [purse(0, 0, 0), purse(1_500, 0, 0), purse(CRN, 0, u64::MAX)] {
            let error = poor.take(Part(None)).unwrap_err().to_string();
            assert!(error.contains("the fee alone"), "{error}");
            assert_eq!(
                poor.take(Part(Some(u64::MAX))).unwrap_err().to_string(),
                error
            );
        }
    }

    #[test]
    fn who_pays_no_fee_is_told_of_none() {
        let of = |free| {
            let balance = AccountBalance {
                free,
                reserved: 0,
                frozen: 0,
            };
            Purse::new(AccountId([7; 32]), balance, 500, 0)
        };
        let purse = of(CRN);
        assert_eq!(purse.take(Part(None)).unwrap(), CRN - 500);
        assert_eq!(purse.invest(Part(None)).unwrap(), CRN - 500);
        let refused = [
            purse.take(Part(Some(CRN))).unwrap_err(),
            of(0).take(Part(None)).unwrap_err(),
            purse.afford("a seat", CRN).unwrap_err(),
        ];
        for error in refused.map(|error| error.to_string()) {
            assert!(!error.contains("the fee"), "{error}");
        }
    }

    #[test]
    fn a_price_is_compared_with_what_there_is() {
        let purse = purse(CRN, 0, 0);
        assert!(purse.afford("a seat", purse.most()).is_ok());
        let error = purse.afford("a seat", CRN).unwrap_err().to_string();
        assert!(error.contains("a seat costs 1.00 CRN"), "{error}");
        assert!(error.contains("0.0000015 CRN more"), "{error}");
        let nothing = super::tests::purse(0, 0, 0);
        let error = nothing.afford("a seat", 2_000).unwrap_err().to_string();
        assert!(
            error.contains("0.0000035 CRN more"),
            "with fee and deposit: {error}"
        );
        assert_eq!(purse.cannot_pay().map(|error| error.to_string()), None);
        let error = nothing.cannot_pay().expect("it has nothing").to_string();
        assert!(error.contains("0.0000015 CRN more"), "{error}");
    }

    #[test]
    fn what_is_invested_leaves_the_fees_of_the_way_back() {
        let purse = purse(CRN, 0, 0);
        assert_eq!(purse.invest(Part(None)).unwrap(), CRN - 5_500);
        assert_eq!(
            purse.invest(Part(Some(purse.most()))).unwrap(),
            purse.most()
        );
        let error = purse.invest(Part(Some(CRN))).unwrap_err().to_string();
        assert!(error.contains("`all` leaves the fees"), "{error}");
        let poor = super::tests::purse(2_000, 0, 0);
        assert_eq!(poor.invest(Part(None)).unwrap(), 500);
    }
}
