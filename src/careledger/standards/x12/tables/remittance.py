"""The remittance advice, 835 by 005010X221A1.

Holds the table only; see `notation` for how to read it. 005010X221 is read by it too.
"""

from functools import cache

from careledger.standards.x12.tables.code_lists import CODE_LISTS
from careledger.standards.x12.tables.notation import TransactionSpec, compile_table

_TABLE = """
BPR R 1 RRRRS*11R 1=C|D|H|I|P|U|X 3=C|D 4=ACH|BOP|CHK|FWT|NON 5=CCP|CTX 6=01|04 8=DA 12=01|04 14=DA|SG
TRN R 1 RRRS 1=1
CUR S 1 RR 1=PR
REF S 1 RR 1:EV
REF S 1 RR 1:F2
DTM S 1 RR 1=405
> 1000A R 1                                             # payer
  N1 R 1 RRSS 1:PR 3=XV
  N3 R 1 RS
  N4 R 1 RSSSNNS
  REF S 4 RR 1=2U|EO|HI|NF
  PER S 1 RSSSSSSS 1:CX 3=EM|FX|TE 5=EM|EX|FX|TE 7=EX
  PER R * RSSSSSSS 1:BL 3=EM|TE|UR 5=EM|EX|FX|TE|UR 7=EM|EX|FX|UR
  PER S 1 RNRR 1:IC 3=UR
> 1000B R 1                                             # payee
  N1 R 1 RRRR 1:PE 3=FI|XV|XX
  N3 S 1 RS
  N4 S 1 RSSSNNS
  REF S * RR 1=0B|D3|PQ|TJ
  RDM S 1 RSS 1=BM|EM|FT|OL
> 2000 S *
  LX R 1 R
  TS3 S 1 RRRRRNNNNNNNSNSNSSNSSSSS
  TS2 S 1 S*19
  > 2100 R *                                            # claim
    CLP R 1 RRRRSRRSSNSSS 2=1|2|3|4|19|20|21|22|23|25 6=$paid_filing
    CAS S 99 RRRS*16 1=$adjust_paid
    NM1 R 1 RRSSSNSSS 1:QC 2=1 8=34|HN|II|MI|MR
    NM1 S 1 RRSSSNSRR 1:IL 2=1|2 8=FI|II|MI
    NM1 S 1 RRSSSNSSS 1:74 2=1|2 8=C
    NM1 S 1 RRSSSNSRR 1:82 2=1|2 8=BD|BS|FI|MC|PC|SL|UP|XX
    NM1 S 1 RRRNNNNRR 1:TT 2=2 8=AD|FI|NI|PI|PP|XV
    NM1 S 1 RRRNNNNRR 1:PR 2=2 8=AD|FI|NI|PI|PP|XV
    NM1 S 1 RRSSSNSSS 1:GB 2=1|2 8=FI|II|MI
    MIA S 1 RS*23
    MOA S 1 S*9
    REF S 5 RR 1:1L|1W|28|6P|9A|9C|BB|CE|EA|F8|G1|G3|IG|SY
    REF S 10 RR 1:0B|1A|1B|1C|1D|1G|1H|1J|D3|G2|LU
    DTM S 2 RR 1:232|233
    DTM S 1 RR 1:036
    DTM S 1 RR 1:050
    PER S 2 RSRRSSSS 1=CX 3=EM|FX|TE 5=EM|EX|FX|TE 7=EX
    AMT S 13 RR 1=AU|D8|DY|F5|I|NL|T|T2|ZK|ZL|ZM|ZN|ZO
    QTY S 14 RR 1=CA|CD|LA|LE|NE|NR|OU|PS|VS|ZK|ZL|ZM|ZN|ZO
    > 2110 S 999                                        # service line
      SVC R 1 R(RRSSSSN)RRSSS(RRSSSSS)S 1.1=AD|ER|HC|HP|IV|N4|N6|NU|UI|WK 6.1=AD|ER|HC|HP|IV|N4|NU|WK
      DTM S 2 RR 1=150|151|472
      CAS S 99 RRRS*16 1=$adjust_paid
      REF S 8 RR 1:1S|APC|BB|E9|G1|G3|LU|RB
      REF S 1 RR 1:6R
      REF S 10 RR 1:0B|1A|1B|1C|1D|1G|1H|1J|D3|G2|HPI|SY|TJ
      REF S 5 RR 1:0K
      AMT S 9 RR 1=B6|KH|T|T2|ZK|ZL|ZM|ZN|ZO
      QTY S 6 RR 1=ZK|ZL|ZM|ZN|ZO
      LQ S 99 RR 1=HE|RX
PLB S * RRR(RS)RS(RS)SS(RS)SS(RS)SS(RS)SS(RS)S 3.1=$payment_adjustment 5.1=$payment_adjustment
"""


@cache
def remittance_advice() -> TransactionSpec:
    """Return the table of the remittance advice, compiled on first use."""
    return compile_table(
        _TABLE,
        set_id="835",
        functional_id="HP",
        versions=("005010X221A1", "005010X221"),
        lists=CODE_LISTS,
    )
