# mypy: disable-error-code="type-arg"
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Time(_message.Message):
    __slots__ = ("seconds", "nanos")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    NANOS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    nanos: int
    def __init__(self, seconds: _Optional[int] = ..., nanos: _Optional[int] = ...) -> None: ...

class Duration(_message.Message):
    __slots__ = ("seconds", "nanos")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    NANOS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    nanos: int
    def __init__(self, seconds: _Optional[int] = ..., nanos: _Optional[int] = ...) -> None: ...

class PublicKey(_message.Message):
    __slots__ = ("ed25519", "secp256k1")
    ED25519_FIELD_NUMBER: _ClassVar[int]
    SECP256K1_FIELD_NUMBER: _ClassVar[int]
    ed25519: bytes
    secp256k1: bytes
    def __init__(self, ed25519: _Optional[bytes] = ..., secp256k1: _Optional[bytes] = ...) -> None: ...

class ValidatorChange(_message.Message):
    __slots__ = ("public_key", "power")
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    public_key: PublicKey
    power: int
    def __init__(self, public_key: _Optional[_Union[PublicKey, _Mapping]] = ..., power: _Optional[int] = ...) -> None: ...

class BlockLimits(_message.Message):
    __slots__ = ("bytes_max", "gas_max")
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    GAS_MAX_FIELD_NUMBER: _ClassVar[int]
    bytes_max: int
    gas_max: int
    def __init__(self, bytes_max: _Optional[int] = ..., gas_max: _Optional[int] = ...) -> None: ...

class EvidenceLimits(_message.Message):
    __slots__ = ("age_blocks_max", "age_max", "bytes_max")
    AGE_BLOCKS_MAX_FIELD_NUMBER: _ClassVar[int]
    AGE_MAX_FIELD_NUMBER: _ClassVar[int]
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    age_blocks_max: int
    age_max: Duration
    bytes_max: int
    def __init__(self, age_blocks_max: _Optional[int] = ..., age_max: _Optional[_Union[Duration, _Mapping]] = ..., bytes_max: _Optional[int] = ...) -> None: ...

class ValidatorRules(_message.Message):
    __slots__ = ("key_types",)
    KEY_TYPES_FIELD_NUMBER: _ClassVar[int]
    key_types: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key_types: _Optional[_Iterable[str]] = ...) -> None: ...

class VersionRules(_message.Message):
    __slots__ = ("app",)
    APP_FIELD_NUMBER: _ClassVar[int]
    app: int
    def __init__(self, app: _Optional[int] = ...) -> None: ...

class ExtensionRules(_message.Message):
    __slots__ = ("enable_height",)
    ENABLE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    enable_height: int
    def __init__(self, enable_height: _Optional[int] = ...) -> None: ...

class ConsensusParameters(_message.Message):
    __slots__ = ("block", "evidence", "validator", "version", "extension")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXTENSION_FIELD_NUMBER: _ClassVar[int]
    block: BlockLimits
    evidence: EvidenceLimits
    validator: ValidatorRules
    version: VersionRules
    extension: ExtensionRules
    def __init__(self, block: _Optional[_Union[BlockLimits, _Mapping]] = ..., evidence: _Optional[_Union[EvidenceLimits, _Mapping]] = ..., validator: _Optional[_Union[ValidatorRules, _Mapping]] = ..., version: _Optional[_Union[VersionRules, _Mapping]] = ..., extension: _Optional[_Union[ExtensionRules, _Mapping]] = ...) -> None: ...

class NamedPower(_message.Message):
    __slots__ = ("address", "power")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    address: bytes
    power: int
    def __init__(self, address: _Optional[bytes] = ..., power: _Optional[int] = ...) -> None: ...

class Misbehaviour(_message.Message):
    __slots__ = ("kind", "validator", "height", "time", "total_power")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TOTAL_POWER_FIELD_NUMBER: _ClassVar[int]
    kind: int
    validator: NamedPower
    height: int
    time: Time
    total_power: int
    def __init__(self, kind: _Optional[int] = ..., validator: _Optional[_Union[NamedPower, _Mapping]] = ..., height: _Optional[int] = ..., time: _Optional[_Union[Time, _Mapping]] = ..., total_power: _Optional[int] = ...) -> None: ...

class SnapshotOffer(_message.Message):
    __slots__ = ("height", "format", "chunks", "hash", "metadata")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    height: int
    format: int
    chunks: int
    hash: bytes
    metadata: bytes
    def __init__(self, height: _Optional[int] = ..., format: _Optional[int] = ..., chunks: _Optional[int] = ..., hash: _Optional[bytes] = ..., metadata: _Optional[bytes] = ...) -> None: ...

class EchoRequest(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class EmptyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InfoRequest(_message.Message):
    __slots__ = ("version", "block_version", "peer_version", "abci_version")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BLOCK_VERSION_FIELD_NUMBER: _ClassVar[int]
    PEER_VERSION_FIELD_NUMBER: _ClassVar[int]
    ABCI_VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    block_version: int
    peer_version: int
    abci_version: str
    def __init__(self, version: _Optional[str] = ..., block_version: _Optional[int] = ..., peer_version: _Optional[int] = ..., abci_version: _Optional[str] = ...) -> None: ...

class InitChainRequest(_message.Message):
    __slots__ = ("time", "chain_id", "parameters", "validators", "app_state", "initial_height")
    TIME_FIELD_NUMBER: _ClassVar[int]
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    APP_STATE_FIELD_NUMBER: _ClassVar[int]
    INITIAL_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    time: Time
    chain_id: str
    parameters: ConsensusParameters
    validators: _containers.RepeatedCompositeFieldContainer[ValidatorChange]
    app_state: bytes
    initial_height: int
    def __init__(self, time: _Optional[_Union[Time, _Mapping]] = ..., chain_id: _Optional[str] = ..., parameters: _Optional[_Union[ConsensusParameters, _Mapping]] = ..., validators: _Optional[_Iterable[_Union[ValidatorChange, _Mapping]]] = ..., app_state: _Optional[bytes] = ..., initial_height: _Optional[int] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("data", "path", "height", "prove")
    DATA_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROVE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    path: str
    height: int
    prove: bool
    def __init__(self, data: _Optional[bytes] = ..., path: _Optional[str] = ..., height: _Optional[int] = ..., prove: _Optional[bool] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ("tx", "kind")
    TX_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    tx: bytes
    kind: int
    def __init__(self, tx: _Optional[bytes] = ..., kind: _Optional[int] = ...) -> None: ...

class OfferRequest(_message.Message):
    __slots__ = ("snapshot", "app_hash")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    APP_HASH_FIELD_NUMBER: _ClassVar[int]
    snapshot: SnapshotOffer
    app_hash: bytes
    def __init__(self, snapshot: _Optional[_Union[SnapshotOffer, _Mapping]] = ..., app_hash: _Optional[bytes] = ...) -> None: ...

class LoadChunkRequest(_message.Message):
    __slots__ = ("height", "format", "chunk")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    height: int
    format: int
    chunk: int
    def __init__(self, height: _Optional[int] = ..., format: _Optional[int] = ..., chunk: _Optional[int] = ...) -> None: ...

class ApplyChunkRequest(_message.Message):
    __slots__ = ("index", "chunk", "sender")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    index: int
    chunk: bytes
    sender: str
    def __init__(self, index: _Optional[int] = ..., chunk: _Optional[bytes] = ..., sender: _Optional[str] = ...) -> None: ...

class PrepareRequest(_message.Message):
    __slots__ = ("bytes_max", "txs", "misbehaviour", "height", "time", "next_validators_hash", "proposer")
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    TXS_FIELD_NUMBER: _ClassVar[int]
    MISBEHAVIOUR_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_VALIDATORS_HASH_FIELD_NUMBER: _ClassVar[int]
    PROPOSER_FIELD_NUMBER: _ClassVar[int]
    bytes_max: int
    txs: _containers.RepeatedScalarFieldContainer[bytes]
    misbehaviour: _containers.RepeatedCompositeFieldContainer[Misbehaviour]
    height: int
    time: Time
    next_validators_hash: bytes
    proposer: bytes
    def __init__(self, bytes_max: _Optional[int] = ..., txs: _Optional[_Iterable[bytes]] = ..., misbehaviour: _Optional[_Iterable[_Union[Misbehaviour, _Mapping]]] = ..., height: _Optional[int] = ..., time: _Optional[_Union[Time, _Mapping]] = ..., next_validators_hash: _Optional[bytes] = ..., proposer: _Optional[bytes] = ...) -> None: ...

class ProcessRequest(_message.Message):
    __slots__ = ("txs", "misbehaviour", "hash", "height", "time", "next_validators_hash", "proposer")
    TXS_FIELD_NUMBER: _ClassVar[int]
    MISBEHAVIOUR_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_VALIDATORS_HASH_FIELD_NUMBER: _ClassVar[int]
    PROPOSER_FIELD_NUMBER: _ClassVar[int]
    txs: _containers.RepeatedScalarFieldContainer[bytes]
    misbehaviour: _containers.RepeatedCompositeFieldContainer[Misbehaviour]
    hash: bytes
    height: int
    time: Time
    next_validators_hash: bytes
    proposer: bytes
    def __init__(self, txs: _Optional[_Iterable[bytes]] = ..., misbehaviour: _Optional[_Iterable[_Union[Misbehaviour, _Mapping]]] = ..., hash: _Optional[bytes] = ..., height: _Optional[int] = ..., time: _Optional[_Union[Time, _Mapping]] = ..., next_validators_hash: _Optional[bytes] = ..., proposer: _Optional[bytes] = ...) -> None: ...

class ExtendRequest(_message.Message):
    __slots__ = ("hash", "height")
    HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    hash: bytes
    height: int
    def __init__(self, hash: _Optional[bytes] = ..., height: _Optional[int] = ...) -> None: ...

class VerifyExtensionRequest(_message.Message):
    __slots__ = ("hash", "validator", "height", "extension")
    HASH_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    EXTENSION_FIELD_NUMBER: _ClassVar[int]
    hash: bytes
    validator: bytes
    height: int
    extension: bytes
    def __init__(self, hash: _Optional[bytes] = ..., validator: _Optional[bytes] = ..., height: _Optional[int] = ..., extension: _Optional[bytes] = ...) -> None: ...

class FinalizeRequest(_message.Message):
    __slots__ = ("txs", "misbehaviour", "hash", "height", "time", "next_validators_hash", "proposer")
    TXS_FIELD_NUMBER: _ClassVar[int]
    MISBEHAVIOUR_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_VALIDATORS_HASH_FIELD_NUMBER: _ClassVar[int]
    PROPOSER_FIELD_NUMBER: _ClassVar[int]
    txs: _containers.RepeatedScalarFieldContainer[bytes]
    misbehaviour: _containers.RepeatedCompositeFieldContainer[Misbehaviour]
    hash: bytes
    height: int
    time: Time
    next_validators_hash: bytes
    proposer: bytes
    def __init__(self, txs: _Optional[_Iterable[bytes]] = ..., misbehaviour: _Optional[_Iterable[_Union[Misbehaviour, _Mapping]]] = ..., hash: _Optional[bytes] = ..., height: _Optional[int] = ..., time: _Optional[_Union[Time, _Mapping]] = ..., next_validators_hash: _Optional[bytes] = ..., proposer: _Optional[bytes] = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("echo", "flush", "info", "init_chain", "query", "check_tx", "commit", "list_snapshots", "offer_snapshot", "load_snapshot_chunk", "apply_snapshot_chunk", "prepare_proposal", "process_proposal", "extend_vote", "verify_vote_extension", "finalize_block")
    ECHO_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    INIT_CHAIN_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    CHECK_TX_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    LIST_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    OFFER_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    LOAD_SNAPSHOT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    APPLY_SNAPSHOT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    PREPARE_PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    PROCESS_PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    EXTEND_VOTE_FIELD_NUMBER: _ClassVar[int]
    VERIFY_VOTE_EXTENSION_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_BLOCK_FIELD_NUMBER: _ClassVar[int]
    echo: EchoRequest
    flush: EmptyRequest
    info: InfoRequest
    init_chain: InitChainRequest
    query: QueryRequest
    check_tx: CheckRequest
    commit: EmptyRequest
    list_snapshots: EmptyRequest
    offer_snapshot: OfferRequest
    load_snapshot_chunk: LoadChunkRequest
    apply_snapshot_chunk: ApplyChunkRequest
    prepare_proposal: PrepareRequest
    process_proposal: ProcessRequest
    extend_vote: ExtendRequest
    verify_vote_extension: VerifyExtensionRequest
    finalize_block: FinalizeRequest
    def __init__(self, echo: _Optional[_Union[EchoRequest, _Mapping]] = ..., flush: _Optional[_Union[EmptyRequest, _Mapping]] = ..., info: _Optional[_Union[InfoRequest, _Mapping]] = ..., init_chain: _Optional[_Union[InitChainRequest, _Mapping]] = ..., query: _Optional[_Union[QueryRequest, _Mapping]] = ..., check_tx: _Optional[_Union[CheckRequest, _Mapping]] = ..., commit: _Optional[_Union[EmptyRequest, _Mapping]] = ..., list_snapshots: _Optional[_Union[EmptyRequest, _Mapping]] = ..., offer_snapshot: _Optional[_Union[OfferRequest, _Mapping]] = ..., load_snapshot_chunk: _Optional[_Union[LoadChunkRequest, _Mapping]] = ..., apply_snapshot_chunk: _Optional[_Union[ApplyChunkRequest, _Mapping]] = ..., prepare_proposal: _Optional[_Union[PrepareRequest, _Mapping]] = ..., process_proposal: _Optional[_Union[ProcessRequest, _Mapping]] = ..., extend_vote: _Optional[_Union[ExtendRequest, _Mapping]] = ..., verify_vote_extension: _Optional[_Union[VerifyExtensionRequest, _Mapping]] = ..., finalize_block: _Optional[_Union[FinalizeRequest, _Mapping]] = ...) -> None: ...

class ExceptionResponse(_message.Message):
    __slots__ = ("error",)
    ERROR_FIELD_NUMBER: _ClassVar[int]
    error: str
    def __init__(self, error: _Optional[str] = ...) -> None: ...

class EchoResponse(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class EmptyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InfoResponse(_message.Message):
    __slots__ = ("data", "version", "app_version", "last_block_height", "last_block_app_hash")
    DATA_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    APP_VERSION_FIELD_NUMBER: _ClassVar[int]
    LAST_BLOCK_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LAST_BLOCK_APP_HASH_FIELD_NUMBER: _ClassVar[int]
    data: str
    version: str
    app_version: int
    last_block_height: int
    last_block_app_hash: bytes
    def __init__(self, data: _Optional[str] = ..., version: _Optional[str] = ..., app_version: _Optional[int] = ..., last_block_height: _Optional[int] = ..., last_block_app_hash: _Optional[bytes] = ...) -> None: ...

class InitChainResponse(_message.Message):
    __slots__ = ("parameters", "validators", "app_hash")
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    APP_HASH_FIELD_NUMBER: _ClassVar[int]
    parameters: ConsensusParameters
    validators: _containers.RepeatedCompositeFieldContainer[ValidatorChange]
    app_hash: bytes
    def __init__(self, parameters: _Optional[_Union[ConsensusParameters, _Mapping]] = ..., validators: _Optional[_Iterable[_Union[ValidatorChange, _Mapping]]] = ..., app_hash: _Optional[bytes] = ...) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("code", "log", "key", "value", "height", "codespace")
    CODE_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CODESPACE_FIELD_NUMBER: _ClassVar[int]
    code: int
    log: str
    key: bytes
    value: bytes
    height: int
    codespace: str
    def __init__(self, code: _Optional[int] = ..., log: _Optional[str] = ..., key: _Optional[bytes] = ..., value: _Optional[bytes] = ..., height: _Optional[int] = ..., codespace: _Optional[str] = ...) -> None: ...

class TxResult(_message.Message):
    __slots__ = ("code", "data", "log", "info", "gas_wanted", "gas_used", "codespace")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    GAS_WANTED_FIELD_NUMBER: _ClassVar[int]
    GAS_USED_FIELD_NUMBER: _ClassVar[int]
    CODESPACE_FIELD_NUMBER: _ClassVar[int]
    code: int
    data: bytes
    log: str
    info: str
    gas_wanted: int
    gas_used: int
    codespace: str
    def __init__(self, code: _Optional[int] = ..., data: _Optional[bytes] = ..., log: _Optional[str] = ..., info: _Optional[str] = ..., gas_wanted: _Optional[int] = ..., gas_used: _Optional[int] = ..., codespace: _Optional[str] = ...) -> None: ...

class CommitResponse(_message.Message):
    __slots__ = ("retain_height",)
    RETAIN_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    retain_height: int
    def __init__(self, retain_height: _Optional[int] = ...) -> None: ...

class ListSnapshotsResponse(_message.Message):
    __slots__ = ("snapshots",)
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    snapshots: _containers.RepeatedCompositeFieldContainer[SnapshotOffer]
    def __init__(self, snapshots: _Optional[_Iterable[_Union[SnapshotOffer, _Mapping]]] = ...) -> None: ...

class OfferResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: int
    def __init__(self, result: _Optional[int] = ...) -> None: ...

class LoadChunkResponse(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: _Optional[bytes] = ...) -> None: ...

class ApplyChunkResponse(_message.Message):
    __slots__ = ("result", "refetch_chunks", "reject_senders")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    REFETCH_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    REJECT_SENDERS_FIELD_NUMBER: _ClassVar[int]
    result: int
    refetch_chunks: _containers.RepeatedScalarFieldContainer[int]
    reject_senders: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, result: _Optional[int] = ..., refetch_chunks: _Optional[_Iterable[int]] = ..., reject_senders: _Optional[_Iterable[str]] = ...) -> None: ...

class PrepareResponse(_message.Message):
    __slots__ = ("txs",)
    TXS_FIELD_NUMBER: _ClassVar[int]
    txs: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, txs: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ProcessResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: int
    def __init__(self, status: _Optional[int] = ...) -> None: ...

class ExtendResponse(_message.Message):
    __slots__ = ("extension",)
    EXTENSION_FIELD_NUMBER: _ClassVar[int]
    extension: bytes
    def __init__(self, extension: _Optional[bytes] = ...) -> None: ...

class VerifyExtensionResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: int
    def __init__(self, status: _Optional[int] = ...) -> None: ...

class FinalizeResponse(_message.Message):
    __slots__ = ("tx_results", "validator_updates", "parameter_updates", "app_hash")
    TX_RESULTS_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_UPDATES_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_UPDATES_FIELD_NUMBER: _ClassVar[int]
    APP_HASH_FIELD_NUMBER: _ClassVar[int]
    tx_results: _containers.RepeatedCompositeFieldContainer[TxResult]
    validator_updates: _containers.RepeatedCompositeFieldContainer[ValidatorChange]
    parameter_updates: ConsensusParameters
    app_hash: bytes
    def __init__(self, tx_results: _Optional[_Iterable[_Union[TxResult, _Mapping]]] = ..., validator_updates: _Optional[_Iterable[_Union[ValidatorChange, _Mapping]]] = ..., parameter_updates: _Optional[_Union[ConsensusParameters, _Mapping]] = ..., app_hash: _Optional[bytes] = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("exception", "echo", "flush", "info", "init_chain", "query", "check_tx", "commit", "list_snapshots", "offer_snapshot", "load_snapshot_chunk", "apply_snapshot_chunk", "prepare_proposal", "process_proposal", "extend_vote", "verify_vote_extension", "finalize_block")
    EXCEPTION_FIELD_NUMBER: _ClassVar[int]
    ECHO_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    INIT_CHAIN_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    CHECK_TX_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    LIST_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    OFFER_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    LOAD_SNAPSHOT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    APPLY_SNAPSHOT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    PREPARE_PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    PROCESS_PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    EXTEND_VOTE_FIELD_NUMBER: _ClassVar[int]
    VERIFY_VOTE_EXTENSION_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_BLOCK_FIELD_NUMBER: _ClassVar[int]
    exception: ExceptionResponse
    echo: EchoResponse
    flush: EmptyResponse
    info: InfoResponse
    init_chain: InitChainResponse
    query: QueryResponse
    check_tx: TxResult
    commit: CommitResponse
    list_snapshots: ListSnapshotsResponse
    offer_snapshot: OfferResponse
    load_snapshot_chunk: LoadChunkResponse
    apply_snapshot_chunk: ApplyChunkResponse
    prepare_proposal: PrepareResponse
    process_proposal: ProcessResponse
    extend_vote: ExtendResponse
    verify_vote_extension: VerifyExtensionResponse
    finalize_block: FinalizeResponse
    def __init__(self, exception: _Optional[_Union[ExceptionResponse, _Mapping]] = ..., echo: _Optional[_Union[EchoResponse, _Mapping]] = ..., flush: _Optional[_Union[EmptyResponse, _Mapping]] = ..., info: _Optional[_Union[InfoResponse, _Mapping]] = ..., init_chain: _Optional[_Union[InitChainResponse, _Mapping]] = ..., query: _Optional[_Union[QueryResponse, _Mapping]] = ..., check_tx: _Optional[_Union[TxResult, _Mapping]] = ..., commit: _Optional[_Union[CommitResponse, _Mapping]] = ..., list_snapshots: _Optional[_Union[ListSnapshotsResponse, _Mapping]] = ..., offer_snapshot: _Optional[_Union[OfferResponse, _Mapping]] = ..., load_snapshot_chunk: _Optional[_Union[LoadChunkResponse, _Mapping]] = ..., apply_snapshot_chunk: _Optional[_Union[ApplyChunkResponse, _Mapping]] = ..., prepare_proposal: _Optional[_Union[PrepareResponse, _Mapping]] = ..., process_proposal: _Optional[_Union[ProcessResponse, _Mapping]] = ..., extend_vote: _Optional[_Union[ExtendResponse, _Mapping]] = ..., verify_vote_extension: _Optional[_Union[VerifyExtensionResponse, _Mapping]] = ..., finalize_block: _Optional[_Union[FinalizeResponse, _Mapping]] = ...) -> None: ...
