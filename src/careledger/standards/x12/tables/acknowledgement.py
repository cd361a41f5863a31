"""The implementation acknowledgement (999, 005010X231A1) and the claim acknowledgement (277CA, 005010X214).

Holds the tables only; see `notation` for how to read them.
"""

from functools import cache

from careledger.standards.x12.tables.code_lists import CODE_LISTS
from careledger.standards.x12.tables.notation import TransactionSpec, compile_table

_IMPLEMENTATION = """
AK1 R 1 RRR 1=BE|HB|HC|HI|HN|HP|HR|HS|RA
> 2000 S *                                              # one transaction set
  AK2 R 1 RRS 1=270|271|276|277|278|820|834|835|837
  > 2100 S *                                            # one segment
    IK3 R 1 RRSR 4=$segment_fault
    CTX S 10 R(RS)SSSS(RSS)S(RS)
    > 2110 S *                                          # one element
      IK4 R 1 R(RSS)SRS 3=$element_fault
      CTX S 10 R(R)RRSS(RSS)S(RS)
  IK5 R 1 RS*5 1=A|E|M|R|W|X 2-6=$set_fault
AK9 R 1 RRRRS*5 1=A|E|M|P|R|W|X 5-9=$group_fault
"""

_CLAIM = """
BHT R 1 RRRRRR 1=0085 2=08 6=TH
> 2000A R *                                             # who answers
  HL R 1 RNRR 3:20 4=1
  > 2100A R 1
    NM1 R 1 RRRNNNNRR 1=AY|PR 2=2 8=46|FI|PI|XV
  > 2200A R *
    TRN R 1 RR 1=1
    DTP R 1 RRR 1:050 2=D8
    DTP R 1 RRR 1:009 2=D8
  > 2000B R 1                                           # who is answered
    HL R 1 RRRR 3:21 4=0|1
    > 2100B R 1
      NM1 R 1 RRRSSNNRR 1=41 2=1|2 8=46
    > 2200B R 1
      TRN R 1 RR 1=2
      STC R * R(RRS)RRRNNNNNS(RRS)S(RRS) 1.3=$entity 3=U|WQ 10.3=$entity 11.3=$entity
      QTY S 1 RR 1:90
      QTY S 1 RR 1:AA
      AMT S 1 RR 1:YU
      AMT S 1 RR 1:YY
    > 2000C S *                                         # billing
      HL R 1 RRRR 3:19 4=0|1
      > 2100C R 1
        NM1 R 1 RRRSSNSRR 1=85 2=1|2 8=FI|SV|XX
      > 2200C S 1
        TRN R 1 RR 1=1
        STC S * R(RRS)NRRNNNNNS(RRS)S(RRS) 1.3=$entity 3=U|WQ 10.3=$entity 11.3=$entity
        REF S 3 RR 1=0B|1G|G2|LU|SY|TJ
        QTY S 1 RR 1:QA
        QTY S 1 RR 1:QC
        AMT S 1 RR 1:YU
        AMT S 1 RR 1:YY
      > 2000D S *                                       # patient
        HL R 1 RRR 3:PT
        > 2100D R 1
          NM1 R 1 RRRSSNSRR 1=QC 2=1 8=II|MI
        > 2200D R *
          TRN R 1 RR 1=2
          STC R * R(RRS)RRRNNNNNS(RRS)S(RRS)S 1.3=$entity 3=U|WQ 10.3=$entity 11.3=$entity
          REF S 1 RR 1:1K
          REF S 1 RR 1:D9
          REF S 1 RR 1:BLT
          DTP R 1 RRR 1=472 2=D8|RD8
          > 2220D S *                                   # service line
            SVC R 1 R(RRSSSS)RNSNNS 1.1=AD|ER|HC|HP|IV|NU|WK
            STC R * R(RRS)RRNNNNNNS(RRS)S(RRS) 1.3=$entity 3=U 10.3=$entity 11.3=$entity
            REF S 1 RR 1:FJ
            REF S 1 RR 1:XZ
            DTP S 1 RRR 1=472 2=D8|RD8
"""


@cache
def implementation_acknowledgement() -> TransactionSpec:
    """Return the table of the implementation acknowledgement (999), compiled on first use."""
    return compile_table(
        _IMPLEMENTATION,
        set_id="999",
        functional_id="FA",
        versions=("005010X231A1", "005010X231"),
        lists=CODE_LISTS,
    )


@cache
def claim_acknowledgement() -> TransactionSpec:
    """Return the table of the claim acknowledgement (277CA), compiled on first use."""
    return compile_table(
        _CLAIM,
        set_id="277",
        functional_id="HN",
        versions=("005010X214",),
        lists=CODE_LISTS,
    )
