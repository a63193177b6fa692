//! What must be true, and what is not.

use std::fmt::Display;

use crate::store::verify::Unreadable;

/// The most findings that are kept of one page; the rest is counted.
const FINDINGS_MAX: usize = 1_000;

macro_rules! invariants {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What must be true of every account, at every moment.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Invariant {
            $($(#[$doc])* $name,)*
        }

        impl Invariant {
            /// Every invariant, for tables.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it is reported.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

invariants! {
    /// What entries moved to the balance, less what they moved from it, is the balance.
    EntriesSumToBalance = "entries_sum_to_balance",
    EntriesSumToHeld = "entries_sum_to_held",
    EntriesSumToFreeOperations = "entries_sum_to_free_operations",
    EntriesSumToHeldFreeOperations = "entries_sum_to_held_free_operations",
    /// Every entry says what could be spent right after it.
    BalanceAfter = "balance_after",
    FreeOperationsAfter = "free_operations_after",
    /// Entries have the numbers from 1 on, each once.
    EntryNumbersHaveNoGaps = "entry_numbers_have_no_gaps",
    /// The account knows the number of its last entry.
    LastEntryNumber = "last_entry_number",
    /// Each consumer's events have the numbers from 1 up to the account's last, each once.
    EventNumbersHaveNoGaps = "event_numbers_have_no_gaps",
    EventNamesItsSubject = "event_names_its_subject",
    /// Unit, places, amount and actor of an entry are ones that its cause can have.
    EntryCanBe = "entry_can_be",
    /// The operation or top-up that an entry names is the user's.
    EntryNamesItsSubject = "entry_names_its_subject",
    /// State, source, price and times of an operation are ones that can be together.
    OperationCanBe = "operation_can_be",
    /// One entry reserves an operation, and the operation has its number and amount.
    OperationIsReservedOnce = "operation_is_reserved_once",
    /// The entries of an operation have moved what its state says.
    OperationNetsToItsState = "operation_nets_to_its_state",
    /// A hold lives exactly as long as its operation is reserved, and ends when it says.
    HoldIsOfAnOpenOperation = "hold_is_of_an_open_operation",
    OpenOperationsSumToHeld = "open_operations_sum_to_held",
    OpenOperationsSumToHeldFreeOperations = "open_operations_sum_to_held_free_operations",
    /// What persons gave back of an operation in parts is what the operation says.
    PartialRefundsSumToOperation = "partial_refunds_sum_to_operation",
    TopUpCanBe = "top_up_can_be",
    /// The entries of a top-up have moved what its state, credit, bonus and reversals say.
    TopUpNetsToItsState = "top_up_nets_to_its_state",
    /// A settled top-up has claimed its payment.
    TopUpIsClaimed = "top_up_is_claimed",
    /// A claim names a settled top-up that names its payment.
    ClaimNamesItsTopUp = "claim_names_its_top_up",
    ReversalsSumToTopUp = "reversals_sum_to_top_up",
    ReversalsSumToAccount = "reversals_sum_to_account",
    ReversalNamesItsTopUp = "reversal_names_its_top_up",
    /// A bonus was given by one redemption, which names the top-up.
    BonusIsRedeemed = "bonus_is_redeemed",
    /// Only what reversals took may be missing from a balance.
    BalanceCoversReversals = "balance_covers_reversals",
    /// Nothing else of an account is below zero.
    NotBelowZero = "not_below_zero",
    /// What a person did names an entry of its kind, amount and actor.
    InterventionNamesItsEntry = "intervention_names_its_entry",
    /// A redemption of free operations names the entry that gave them.
    RedemptionNamesItsEntry = "redemption_names_its_entry",
    /// What a person or a promo code gave is named by exactly one intervention or redemption.
    EntryIsNamed = "entry_is_named",
    /// The account knows until when redemptions may have effect.
    RedemptionsUntil = "redemptions_until",
    /// A promo code says how often it was redeemed.
    CodeCountsItsRedemptions = "code_counts_its_redemptions",
    /// Rows belong to a user who has an account.
    UserHasAnAccount = "user_has_an_account",
    RowIsReadable = "row_is_readable",
    /// A chain does not go further than the entries.
    ChainHead = "chain_head",
    /// The entries, and what came into being with them, are those that were chained.
    HashChain = "hash_chain",
    /// The chain goes through the head that somebody has kept.
    KeptHead = "kept_head",
    /// Received + promo + adjustments = balances + held + revenue + given back.
    MoneyAddsUp = "money_adds_up",
}

/// The longest text of a finding: a thousand of them fit into a message.
const TEXT_MAX_BYTES: usize = 256;

/// A stored text may be anything, of any length, once somebody has gone past the schema.
fn shortened(text: impl Display) -> String {
    let mut text = text.to_string();
    if text.len() > TEXT_MAX_BYTES {
        text.truncate(text.floor_char_boundary(TEXT_MAX_BYTES));
        text.push('…');
    }
    text
}

/// Something that does not add up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Whose it is; 0 if nobody's.
    pub user: i64,
    pub invariant: Invariant,
    /// The row that breaks it.
    pub row: String,
    pub found: String,
    pub expected: String,
}

/// The findings of one page: the first of them, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) first: Vec<Finding>,
    pub(super) count: u64,
}

impl Findings {
    pub(super) fn add(
        &mut self,
        (user, invariant): (i64, Invariant),
        row: impl Display,
        (found, expected): (impl Display, impl Display),
    ) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < FINDINGS_MAX {
            self.first.push(Finding {
                user,
                invariant,
                row: shortened(row),
                found: shortened(found),
                expected: shortened(expected),
            });
        }
    }

    /// Adds a finding unless both are the same.
    pub(super) fn compare<T: PartialEq + Display>(
        &mut self,
        about: (i64, Invariant),
        row: impl Display,
        (found, expected): (T, T),
    ) {
        if found != expected {
            self.add(about, row, (found, expected));
        }
    }

    pub(super) fn add_unreadable(&mut self, row: &Unreadable) {
        let about = (row.user, Invariant::RowIsReadable);
        self.add(about, row.table, (&row.problem, "a row that can be read"));
    }
}
