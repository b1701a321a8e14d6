//! What the node may ask of the runtime.

use alloc::vec::Vec;

use cairn_primitives::{
    api::{
        AccountEarning, AuditInfo, ContributionInfo, EndedRun, EpochPage, HotkeyInfo, Issuance,
        Limits, LineageEntry, MemberEmission, MemberEndpoints, MemberEpoch, MemberInfo, Position,
        RoundInfo, RunInfo, Schedule, Scoring, SettledRound, SubnetEmission, SubnetEpoch,
        SubnetInfo, ValidatorScores,
    },
    AuditOutcome, EpochIndex, Netuid, Round, Uid,
};
use codec::Encode;
use frame_support::{
    genesis_builder_helper::{build_state, get_preset},
    traits::KeyOwnerProofSystem,
    weights::Weight,
};
use pallet_grandpa::AuthorityId as GrandpaId;
use sp_api::impl_runtime_apis;
use sp_core::{crypto::KeyTypeId, OpaqueMetadata};
use sp_runtime::{
    traits::Block as BlockT,
    transaction_validity::{TransactionSource, TransactionValidity},
    ApplyExtrinsicResult,
};
use sp_session::OpaqueGeneratedSessionKeys;
use sp_version::RuntimeVersion;

use crate::{
    configs::consensus::{BABE_GENESIS_EPOCH_CONFIG, EPOCH_SLOTS},
    fees, presets, readers, AccountId, Babe, Balance, Block, Executive, Grandpa, Historical,
    InherentDataExt, Nonce, Runtime, RuntimeCall, RuntimeGenesisConfig, SessionKeys, System,
    TransactionPayment, VERSION,
};

impl_runtime_apis! {
    impl sp_api::Core<Block> for Runtime {
        fn version() -> RuntimeVersion {
            VERSION
        }

        fn execute_block(block: <Block as BlockT>::LazyBlock) {
            Executive::execute_block(block)
        }

        fn initialize_block(header: &<Block as BlockT>::Header) -> sp_runtime::ExtrinsicInclusionMode {
            Executive::initialize_block(header)
        }
    }

    impl sp_api::Metadata<Block> for Runtime {
        fn metadata() -> OpaqueMetadata {
            OpaqueMetadata::new(Runtime::metadata().into())
        }

        fn metadata_at_version(version: u32) -> Option<OpaqueMetadata> {
            Runtime::metadata_at_version(version)
        }

        fn metadata_versions() -> Vec<u32> {
            Runtime::metadata_versions()
        }
    }

    impl sp_block_builder::BlockBuilder<Block> for Runtime {
        fn apply_extrinsic(extrinsic: <Block as BlockT>::Extrinsic) -> ApplyExtrinsicResult {
            Executive::apply_extrinsic(extrinsic)
        }

        fn finalize_block() -> <Block as BlockT>::Header {
            Executive::finalize_block()
        }

        fn inherent_extrinsics(data: sp_inherents::InherentData) -> Vec<<Block as BlockT>::Extrinsic> {
            data.create_extrinsics()
        }

        fn check_inherents(
            block: <Block as BlockT>::LazyBlock,
            data: sp_inherents::InherentData,
        ) -> sp_inherents::CheckInherentsResult {
            data.check_extrinsics(&block)
        }
    }

    impl sp_transaction_pool::runtime_api::TaggedTransactionQueue<Block> for Runtime {
        fn validate_transaction(
            source: TransactionSource,
            tx: <Block as BlockT>::Extrinsic,
            block_hash: <Block as BlockT>::Hash,
        ) -> TransactionValidity {
            Executive::validate_transaction(source, tx, block_hash)
        }
    }

    impl sp_offchain::OffchainWorkerApi<Block> for Runtime {
        fn offchain_worker(header: &<Block as BlockT>::Header) {
            Executive::offchain_worker(header)
        }
    }

    impl sp_consensus_babe::BabeApi<Block> for Runtime {
        fn configuration() -> sp_consensus_babe::BabeConfiguration {
            let epoch_config = Babe::epoch_config().unwrap_or(BABE_GENESIS_EPOCH_CONFIG);
            sp_consensus_babe::BabeConfiguration {
                slot_duration: Babe::slot_duration(),
                epoch_length: EPOCH_SLOTS,
                c: epoch_config.c,
                authorities: Babe::authorities().to_vec(),
                randomness: Babe::randomness(),
                allowed_slots: epoch_config.allowed_slots,
            }
        }

        fn current_epoch_start() -> sp_consensus_babe::Slot {
            Babe::current_epoch_start()
        }

        fn current_epoch() -> sp_consensus_babe::Epoch {
            Babe::current_epoch()
        }

        fn next_epoch() -> sp_consensus_babe::Epoch {
            Babe::next_epoch()
        }

        fn generate_key_ownership_proof(
            _slot: sp_consensus_babe::Slot,
            authority_id: sp_consensus_babe::AuthorityId,
        ) -> Option<sp_consensus_babe::OpaqueKeyOwnershipProof> {
            let proof = Historical::prove((sp_consensus_babe::KEY_TYPE, authority_id))?;
            Some(sp_consensus_babe::OpaqueKeyOwnershipProof::new(proof.encode()))
        }

        fn submit_report_equivocation_unsigned_extrinsic(
            proof: sp_consensus_babe::EquivocationProof<<Block as BlockT>::Header>,
            key_owner_proof: sp_consensus_babe::OpaqueKeyOwnershipProof,
        ) -> Option<()> {
            Babe::submit_unsigned_equivocation_report(proof, key_owner_proof.decode()?)
        }
    }

    impl sp_session::SessionKeys<Block> for Runtime {
        fn generate_session_keys(owner: Vec<u8>, seed: Option<Vec<u8>>) -> OpaqueGeneratedSessionKeys {
            SessionKeys::generate(&owner, seed).into()
        }

        fn decode_session_keys(encoded: Vec<u8>) -> Option<Vec<(Vec<u8>, KeyTypeId)>> {
            SessionKeys::decode_into_raw_public_keys(&encoded)
        }
    }

    impl sp_consensus_grandpa::GrandpaApi<Block> for Runtime {
        fn grandpa_authorities() -> sp_consensus_grandpa::AuthorityList {
            Grandpa::grandpa_authorities()
        }

        fn current_set_id() -> sp_consensus_grandpa::SetId {
            Grandpa::current_set_id()
        }

        fn submit_report_equivocation_unsigned_extrinsic(
            proof: sp_consensus_grandpa::EquivocationProof<
                <Block as BlockT>::Hash,
                sp_runtime::traits::NumberFor<Block>,
            >,
            key_owner_proof: sp_consensus_grandpa::OpaqueKeyOwnershipProof,
        ) -> Option<()> {
            Grandpa::submit_unsigned_equivocation_report(proof, key_owner_proof.decode()?)
        }

        fn generate_key_ownership_proof(
            _set_id: sp_consensus_grandpa::SetId,
            authority_id: GrandpaId,
        ) -> Option<sp_consensus_grandpa::OpaqueKeyOwnershipProof> {
            let proof = Historical::prove((sp_consensus_grandpa::KEY_TYPE, authority_id))?;
            Some(sp_consensus_grandpa::OpaqueKeyOwnershipProof::new(proof.encode()))
        }
    }

    impl frame_system_rpc_runtime_api::AccountNonceApi<Block, AccountId, Nonce> for Runtime {
        fn account_nonce(account: AccountId) -> Nonce {
            System::account_nonce(account)
        }
    }

    impl pallet_transaction_payment_rpc_runtime_api::TransactionPaymentApi<Block, Balance> for Runtime {
        fn query_info(
            extrinsic: <Block as BlockT>::Extrinsic,
            length: u32,
        ) -> pallet_transaction_payment_rpc_runtime_api::RuntimeDispatchInfo<Balance> {
            fees::info(extrinsic, length)
        }

        fn query_fee_details(
            extrinsic: <Block as BlockT>::Extrinsic,
            length: u32,
        ) -> pallet_transaction_payment::FeeDetails<Balance> {
            fees::details(extrinsic, length)
        }

        fn query_weight_to_fee(weight: Weight) -> Balance {
            TransactionPayment::weight_to_fee(weight)
        }

        fn query_length_to_fee(length: u32) -> Balance {
            TransactionPayment::length_to_fee(length)
        }
    }

    impl pallet_transaction_payment_rpc_runtime_api::TransactionPaymentCallApi<Block, Balance, RuntimeCall>
        for Runtime
    {
        fn query_call_info(
            call: RuntimeCall,
            length: u32,
        ) -> pallet_transaction_payment::RuntimeDispatchInfo<Balance> {
            TransactionPayment::query_call_info(call, length)
        }

        fn query_call_fee_details(
            call: RuntimeCall,
            length: u32,
        ) -> pallet_transaction_payment::FeeDetails<Balance> {
            TransactionPayment::query_call_fee_details(call, length)
        }

        fn query_weight_to_fee(weight: Weight) -> Balance {
            TransactionPayment::weight_to_fee(weight)
        }

        fn query_length_to_fee(length: u32) -> Balance {
            TransactionPayment::length_to_fee(length)
        }
    }

    impl sp_genesis_builder::GenesisBuilder<Block> for Runtime {
        fn build_state(config: Vec<u8>) -> sp_genesis_builder::Result {
            build_state::<RuntimeGenesisConfig>(config)
        }

        fn get_preset(id: &Option<sp_genesis_builder::PresetId>) -> Option<Vec<u8>> {
            get_preset::<RuntimeGenesisConfig>(id, presets::get)
        }

        fn preset_names() -> Vec<sp_genesis_builder::PresetId> {
            presets::names()
        }
    }

    #[cfg(feature = "audit")]
    impl cairn_runtime_api::AuditApi<Block> for Runtime {
        fn audit() -> Result<(), Vec<u8>> {
            crate::audit::everything().map_err(|error| <&str>::from(error).into())
        }
    }

    #[cfg(feature = "runtime-benchmarks")]
    impl frame_benchmarking::Benchmark<Block> for Runtime {
        fn benchmark_metadata(extra: bool) -> (
            Vec<frame_benchmarking::BenchmarkList>,
            Vec<frame_support::traits::StorageInfo>,
        ) {
            use crate::{Audits, Emissions, Endpoints, Stake, Subnets, Training};
            use frame_benchmarking::BenchmarkList;
            use frame_support::traits::StorageInfoTrait;
            let mut list = Vec::<BenchmarkList>::new();
            list_benchmarks!(list, extra);
            (list, crate::AllPalletsWithSystem::storage_info())
        }

        fn dispatch_benchmark(
            config: frame_benchmarking::BenchmarkConfig,
        ) -> Result<Vec<frame_benchmarking::BenchmarkBatch>, alloc::string::String> {
            use crate::{Audits, Emissions, Endpoints, Stake, Subnets, Training};
            use frame_benchmarking::BenchmarkBatch;
            use frame_support::traits::WhitelistedStorageKeys;
            let whitelist = crate::AllPalletsWithSystem::whitelisted_storage_keys();
            let params = (&config, &whitelist);
            let mut batches = Vec::<BenchmarkBatch>::new();
            add_benchmarks!(params, batches);
            Ok(batches)
        }
    }

    #[cfg(feature = "try-runtime")]
    impl frame_try_runtime::TryRuntime<Block> for Runtime {
        fn on_runtime_upgrade(checks: frame_try_runtime::UpgradeCheckSelect) -> (Weight, Weight) {
            let books = crate::governance::untouched::books();
            let used = Executive::try_runtime_upgrade(checks).expect("the upgrade is sound");
            assert_eq!(
                crate::governance::untouched::books(),
                books,
                "what people own and were paid"
            );
            (used, crate::configs::system::Weights::get().max_block)
        }

        fn execute_block(
            block: <Block as BlockT>::LazyBlock,
            state_root_check: bool,
            signature_check: bool,
            select: frame_try_runtime::TryStateSelect,
        ) -> Weight {
            Executive::try_execute_block(block, state_root_check, signature_check, select)
                .expect("the block is sound")
        }
    }

    impl cairn_runtime_api::SubnetsApi<Block, AccountId> for Runtime {
        fn subnets(from: Netuid, limit: u32) -> Vec<SubnetInfo<AccountId>> {
            readers::subnets_page(from, limit)
        }

        fn subnet(netuid: Netuid) -> Option<SubnetInfo<AccountId>> {
            readers::subnet(netuid)
        }

        fn members(netuid: Netuid, from: Uid, limit: u32) -> Vec<MemberInfo<AccountId>> {
            readers::members_page(netuid, from, limit)
        }

        fn member(netuid: Netuid, hotkey: AccountId) -> Option<MemberInfo<AccountId>> {
            readers::member(netuid, &hotkey)
        }

        fn creation_price() -> Balance {
            readers::creation_price()
        }

        fn hotkey(hotkey: AccountId) -> HotkeyInfo<AccountId> {
            readers::hotkey(hotkey)
        }

        fn hotkeys(coldkey: AccountId, after: Option<AccountId>) -> Vec<AccountId> {
            readers::hotkeys(&coldkey, after.as_ref())
        }

        fn limits() -> Limits {
            readers::limits()
        }

        fn positions(
            coldkey: AccountId,
            after: Option<(Netuid, AccountId)>,
        ) -> Vec<Position<AccountId>> {
            readers::positions(&coldkey, after)
        }

        fn position(
            coldkey: AccountId,
            netuid: Netuid,
            hotkey: AccountId,
        ) -> Option<Position<AccountId>> {
            readers::position(&coldkey, netuid, &hotkey)
        }
    }

    impl cairn_runtime_api::TrainingApi<Block, AccountId> for Runtime {
        fn run(netuid: Netuid) -> Option<RunInfo<AccountId>> {
            readers::run(netuid)
        }

        fn round(netuid: Netuid, round: Round) -> Option<RoundInfo<AccountId>> {
            readers::round(netuid, round)
        }

        fn contributions(
            netuid: Netuid,
            round: Round,
            from: Uid,
            limit: u32,
        ) -> Vec<ContributionInfo<AccountId>> {
            readers::contributions_page(netuid, round, from, limit)
        }

        fn settled(netuid: Netuid, round: Round) -> Option<SettledRound> {
            readers::settled(netuid, round)
        }

        fn lineage(netuid: Netuid, from: Round) -> Vec<LineageEntry> {
            readers::lineage(netuid, from)
        }

        fn ended_run(netuid: Netuid) -> Option<EndedRun> {
            readers::ended_run(netuid)
        }
    }

    impl cairn_runtime_api::AuditsApi<Block, AccountId> for Runtime {
        fn open(
            netuid: Netuid,
            after: Option<(Round, Uid)>,
            limit: u32,
        ) -> Vec<AuditInfo<AccountId>> {
            readers::open_audits_page(netuid, after, limit)
        }

        fn outcome(netuid: Netuid, round: Round, uid: Uid) -> Option<AuditOutcome> {
            readers::audit_outcome(netuid, round, uid)
        }
    }

    impl cairn_runtime_api::EndpointsApi<Block, AccountId> for Runtime {
        fn endpoints(netuid: Netuid, from: Uid, limit: u32) -> Vec<MemberEndpoints<AccountId>> {
            readers::endpoints_page(netuid, from, limit)
        }

        fn endpoints_of(
            netuid: Netuid,
            hotkeys: Vec<AccountId>,
        ) -> Vec<MemberEndpoints<AccountId>> {
            readers::endpoints_of(netuid, &hotkeys)
        }
    }

    impl cairn_runtime_api::EmissionsApi<Block, AccountId> for Runtime {
        fn schedule() -> Schedule {
            readers::schedule()
        }

        fn issuance() -> Issuance {
            readers::issuance()
        }

        fn emission(netuid: Netuid) -> Option<SubnetEmission> {
            readers::emission(netuid)
        }

        fn member_emission(netuid: Netuid, uid: Uid) -> Option<MemberEmission<AccountId>> {
            readers::member_emission(netuid, uid)
        }

        fn subnet_history(
            netuid: Netuid,
            from: EpochIndex,
            limit: u32,
        ) -> Option<EpochPage<SubnetEpoch>> {
            readers::subnet_history(netuid, from, limit)
        }

        fn member_history(
            netuid: Netuid,
            uid: Uid,
            from: EpochIndex,
            limit: u32,
        ) -> Option<EpochPage<MemberEpoch>> {
            readers::member_history(netuid, uid, from, limit)
        }

        fn voting(netuid: Netuid, hotkey: AccountId) -> Option<Scoring> {
            readers::voting(netuid, &hotkey)
        }

        fn scores(netuid: Netuid) -> Vec<ValidatorScores<AccountId>> {
            readers::scores(netuid)
        }

        fn account(account: AccountId) -> Vec<AccountEarning<AccountId>> {
            readers::account(&account)
        }
    }
}
