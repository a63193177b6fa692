//! The schema of both engines: the same numbers, one change a file, forward only.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{AppliedMigration, MigrateError, Migration, MigrationType, Migrator};

use super::OpenError;

macro_rules! migrations {
    ($engine:literal: $($version:literal $name:literal),* $(,)?) => {
        migrator(vec![$(
            Migration::new(
                $version,
                $name.into(),
                MigrationType::Simple,
                include_str!(concat!("../../migrations/", $engine, "/", $name, ".sql"))
                    .into_sql_str(),
                false,
            )
        ),*])
    };
}

macro_rules! of_engine {
    ($engine:literal) => {
        migrations!($engine:
            1 "0001_create_accounts",
            2 "0002_create_profiles",
            3 "0003_create_operation_records",
            4 "0004_index_living_holds",
            5 "0005_create_top_ups",
            6 "0006_index_open_top_ups",
            7 "0007_create_payment_claims",
            8 "0008_create_entries",
            9 "0009_create_events",
            10 "0010_index_unacknowledged_events",
            11 "0011_view_users",
            12 "0012_view_balances",
            13 "0013_view_operations",
            14 "0014_view_payments",
            15 "0015_add_redemptions_until_to_accounts",
            16 "0016_add_discounts_and_parts_to_operation_records",
            17 "0017_add_bonus_and_reversals_to_top_ups",
            18 "0018_create_reversals",
            19 "0019_create_promo_codes",
            20 "0020_create_redemptions",
            21 "0021_create_interventions",
            22 "0022_let_events_be_about_accounts",
            23 "0023_create_chain_heads",
            24 "0024_index_profiles_by_email",
            28 "0028_index_entries_by_time",
            29 "0029_summarize_entries_as_they_come",
            30 "0030_create_holds",
            31 "0031_fill_holds",
            32 "0032_drop_index_of_living_holds",
            33 "0033_leave_room_for_commits",
            34 "0034_partition_operation_records",
            35 "0035_partition_entries",
            36 "0036_partition_events",
            40 "0040_index_settled_top_ups_and_reversals",
        )
    };
}

/// The schema on SQLite.
pub(super) fn sqlite() -> Migrator {
    of_engine!("sqlite")
}

/// The schema on PostgreSQL.
pub(super) fn postgres() -> Migrator {
    of_engine!("postgres")
}

/// Whether all of `migrator` was applied; a newer version may have applied more.
pub(super) fn check(
    migrator: &Migrator,
    applied: Result<Vec<AppliedMigration>, MigrateError>,
) -> Result<(), OpenError> {
    let applied = applied.map_err(|_no_such_table| OpenError::NotMigrated)?;
    let is_applied = |version| applied.iter().any(|migration| migration.version == version);
    if migrator.iter().all(|migration| is_applied(migration.version)) {
        Ok(())
    } else {
        Err(OpenError::NotMigrated)
    }
}

fn migrator(migrations: Vec<Migration>) -> Migrator {
    let mut migrator = Migrator::with_migrations(migrations);
    // The lock that sqlx takes is an advisory one, which not every engine has. Two that migrate at
    // once cannot do harm: one of them fails at the first thing that exists already.
    migrator.set_locking(false);
    // A newer version may have migrated already while this one is still rolled out.
    migrator.set_ignore_missing(true);
    migrator
}
