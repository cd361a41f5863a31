"""The institutional claim, 837 by 005010X223A2.

Holds the table only; see `notation` for how to read it. 005010X223, 005010X223A1 and 005010X223A3 differ in
details that this table does not distinguish and are read by it too.
"""

from functools import cache

from careledger.standards.x12.tables.claim_professional import claim_levels
from careledger.standards.x12.tables.code_lists import CODE_LISTS
from careledger.standards.x12.tables.notation import TransactionSpec, compile_table

_HEADER = """
BHT R 1 RRRRRR 1=0019 2=00|18 6=31|CH|RP
> 1000A R 1                                             # submitter
  NM1 R 1 RRRSSNNRR 1:41 2=1|2 8=46
  PER R 2 RSRRSSSS 1=IC 3=EM|FX|TE 5=EM|EX|FX|TE 7=EM|EX|FX|TE
> 1000B R 1                                             # receiver
  NM1 R 1 RRRNNNNRR 1:40 2=2 8=46
> 2000A R *                                             # billing level
  HL R 1 RNRR 3:20 4=1
  PRV S 1 RRR 1=BI 2=PXC
  CUR S 1 RR 1=85
  > 2010AA R 1
    NM1 R 1 RRRNNNNSS 1:85 2=2 8=XX
    N3 R 1 RS
    N4 R 1 RSSSNNS
    REF R 1 RR 1:EI
    PER S 2 RSRRSSSS 1=IC 3=EM|FX|TE 5=EM|EX|FX|TE 7=EM|EX|FX|TE
  > 2010AB S 1                                          # pay-to address
    NM1 R 1 RR 1:87 2=2
    N3 R 1 RS
    N4 R 1 RSSSNNS
  > 2010AC S 1                                          # pay-to plan
    NM1 R 1 RRRNNNNRR 1:PE 2=2 8=PI|XV
    N3 R 1 RS
    N4 R 1 RSSSNNS
    REF S 1 RR 1:2U|FY|NF
    REF R 1 RR 1:EI
  > 2000B R *                                           # subscriber level
    HL R 1 RRRR 3:22 4=0|1
    SBR R 1 RSSSNNNNS 1=$responsibility 2=18 9=$filing
    > 2010BA R 1
      NM1 R 1 RRRSSNSSS 1:IL 2=1|2 8=II|MI
      N3 S 1 RS
      N4 S 1 RSSSNNS
      DMG S 1 RRR 1=D8 3=F|M|U
      REF S 1 RR 1:SY
      REF S 1 RR 1:Y4
    > 2010BB R 1                                        # payer
      NM1 R 1 RRRNNNNRR 1:PR 2=2 8=PI|XV
      N3 S 1 RS
      N4 S 1 RSSSNNS
      REF S 3 RR 1:2U|EI|FY|NF
      REF S 1 RR 1:G2|LU
"""

_PATIENT = """
    > 2000C S *                                         # patient level
      HL R 1 RRRR 3:23 4=0
      PAT R 1 R 1=$dependent
      > 2010CA R 1
        NM1 R 1 RRRSSNS 1:QC 2=1
        N3 R 1 RS
        N4 R 1 RSSSNNS
        DMG R 1 RRR 1=D8 3=F|M|U
        REF S 1 RR 1:Y4
        REF S 1 RR 1:1W|SY
"""

_CLAIM = """
> 2300 S 100
  CLM R 1 RRNNR(RRR)NRRRNNNNNNNNNNS 5.2=A 7=A|B|C 8=N|W|Y 9=I|Y 20=$delay
  DTP S 1 RRR 1:096 2=TM                                # discharge hour
  DTP R 1 RRR 1:434 2=RD8                               # statement period
  DTP S 1 RRR 1:435 2=D8|DT
  DTP S 1 RRR 1:050 2=D8
  CL1 R 1 RSR
  PWK S 10 RRNNSS 1=$report 2=$report_sent 5=AC
  CN1 S 1 RSSSSS 1=$contract
  AMT S 1 RR 1:F3
  REF S 1 RR 1:4N
  REF S 1 RR 1:9F
  REF S 1 RR 1:G1
  REF S 1 RR 1:F8                                       # the payer's control number
  REF S 1 RR 1:9A
  REF S 1 RR 1:9C
  REF S 5 RR 1:LX
  REF S 1 RR 1:D9
  REF S 1 RR 1:LU
  REF S 1 RR 1:EA
  REF S 1 RR 1:P4
  REF S 1 RR 1:G4
  K3 S 10 R
  NTE S 10 RR 1:ALG|DCP|DGN|DME|MED|NTR|ODT|RHB|RLH|RNH|SET|SFM|SPT|UPI
  NTE S 1 RR 1:ADD
  CRC S 1 RRRSS 1=ZZ 2=N|Y 3-5=$referral
  HI R 1 R(RRNNNNNNS) 1.1:ABK|BK 1.9=$present           # principal diagnosis
  HI S 1 R(RR) 1.1:ABJ|BJ
  HI S 1 R(RR)S(RR)*2 1.1:APR|PR 2-3.1=APR|PR
  HI S 1 R(RRNNNNNNS)S(RRNNNNNNS)*11 1.1:ABN|BN 2-12.1=ABN|BN 1-12.9=$present
  HI S 1 R(RR) 1.1:DR
  HI S 2 R(RRNNNNNNS)S(RRNNNNNNS)*11 1.1:ABF|BF 2-12.1=ABF|BF 1-12.9=$present
  HI S 1 R(RRRR) 1.1:BBR|BR|CAH 1.3=D8                  # principal procedure
  HI S 2 R(RRRR)S(RRRR)*11 1.1:BBQ|BQ 2-12.1=BBQ|BQ 1-12.3=D8
  HI S 2 R(RRRR)S(RRRR)*11 1.1:BI 2-12.1=BI 1-12.3=RD8  # occurrence span
  HI S 2 R(RRRR)S(RRRR)*11 1.1:BH 2-12.1=BH 1-12.3=D8   # occurrence
  HI S 2 R(RRNNR)S(RRNNR)*11 1.1:BE 2-12.1=BE           # value
  HI S 2 R(RR)S(RR)*11 1.1:BG 2-12.1=BG                 # condition
  HI S 2 R(RR)S(RR)*11 1.1:TC 2-12.1=TC
  HCP S 1 RRSSSSSSNNSSSSS 1=$pricing 11=DA|UN 13=$reject 14=$policy 15=$exception
  > 2310A S 1                                           # attending
    NM1 R 1 RRRSSNSSS 1:71 2=1 8=XX
    PRV S 1 RRR 1=AT 2=PXC
    REF S 4 RR 1:0B|1G|G2|LU
  > 2310B S 1                                           # operating
    NM1 R 1 RRRSSNSSS 1:72 2=1 8=XX
    REF S 4 RR 1:0B|1G|G2|LU
  > 2310C S 1                                           # other operating
    NM1 R 1 RRRSSNSSS 1:ZZ 2=1 8=XX
    REF S 4 RR 1:0B|1G|G2|LU
  > 2310D S 1                                           # rendering
    NM1 R 1 RRRSSNSSS 1:82 2=1 8=XX
    REF S 4 RR 1:0B|1G|G2|LU
  > 2310E S 1                                           # service facility
    NM1 R 1 RRRNNNNSS 1:77 2=2 8=XX
    N3 R 1 RS
    N4 R 1 RSSSNNS
    REF S 3 RR 1:0B|G2|LU
  > 2310F S 1                                           # referring
    NM1 R 1 RRRSSNSSS 1:DN 2=1 8=XX
    REF S 3 RR 1:0B|1G|G2
  > 2320 S 10                                           # other coverage
    SBR R 1 RRSSNNNNS 1=$responsibility 2=$relation 9=$filing
    CAS S 5 RRRS*16 1=$adjust
    AMT S 1 RR 1:D
    AMT S 1 RR 1:EAF
    AMT S 1 RR 1:A8
    OI R 1 NNRNNR 3=N|W|Y 6=I|Y
    MIA S 1 RNS*22
    MOA S 1 S*9
    > 2330A R 1
      NM1 R 1 RRRSSNSRR 1:IL 2=1|2 8=II|MI
      N3 S 1 RS
      N4 S 1 RSSSNNS
      REF S 2 RR 1:SY
    > 2330B R 1
      NM1 R 1 RRRNNNNRR 1:PR 2=2 8=PI|XV
      N3 S 1 RS
      N4 S 1 RSSSNNS
      DTP S 1 RRR 1:573 2=D8
      REF S 2 RR 1:2U|EI|FY|NF
      REF S 1 RR 1:G1
      REF S 1 RR 1:9F
      REF S 1 RR 1:T4
      REF S 1 RR 1:F8
    > 2330C S 1
      NM1 R 1 RR 1:71 2=1
      REF R 4 RR 1:0B|1G|G2|LU
    > 2330D S 1
      NM1 R 1 RR 1:72 2=1
      REF R 4 RR 1:0B|1G|G2|LU
    > 2330E S 1
      NM1 R 1 RR 1:ZZ 2=1
      REF R 4 RR 1:0B|1G|G2|LU
    > 2330F S 1
      NM1 R 1 RR 1:77 2=2
      REF R 3 RR 1:0B|G2|LU
    > 2330G S 1
      NM1 R 1 RR 1:82 2=1
      REF R 4 RR 1:0B|1G|G2|LU
    > 2330H S 1
      NM1 R 1 RR 1:DN 2=1
      REF R 3 RR 1:0B|1G|G2
    > 2330I S 1
      NM1 R 1 RR 1:85 2=2
      REF R 2 RR 1:G2|LU
  > 2400 R 999                                          # service line
    LX R 1 R
    SV2 R 1 RS(RRSSSSS)RRRNS 2.1=ER|HC|HP|IV|WK 4=DA|UN
    PWK S 10 RRNNSS 1=$report 2=$report_sent 5=AC
    DTP S 1 RRR 1:472 2=D8|RD8
    REF S 1 RR 1:6R                                     # the line's own number
    REF S 1 RR 1:9B
    REF S 1 RR 1:9D
    AMT S 1 RR 1:GT
    AMT S 1 RR 1:N8
    NTE S 1 RR 1=TPO
    HCP S 1 RRS*13 1=$pricing 9=ER|HC|HP|IV|WK 11=DA|UN 13=$reject 14=$policy 15=$exception
    > 2410 S 1                                          # drug
      LIN R 1 NRR 2=N4
      CTP R 1 NNNRR(R) 5.1=F2|GR|ME|ML|UN
      REF S 1 RR 1:VY|XZ
    > 2420A S 1                                         # operating
      NM1 R 1 RRRSSNSSS 1:72 2=1 8=XX
      REF S 20 RRNS(RR) 1:0B|1G|G2|LU 4.1=2U
    > 2420B S 1
      NM1 R 1 RRRSSNSSS 1:ZZ 2=1 8=XX
      REF S 20 RRNS(RR) 1:0B|1G|G2|LU 4.1=2U
    > 2420C S 1                                         # rendering
      NM1 R 1 RRRSSNSSS 1:82 2=1 8=XX
      REF S 20 RRNS(RR) 1:0B|1G|G2|LU 4.1=2U
    > 2420D S 1                                         # referring
      NM1 R 1 RRRSSNSSS 1:DN 2=1 8=XX
      REF S 20 RRNS(RR) 1:0B|1G|G2 4.1=2U
    > 2430 S 15                                         # what another payer decided
      SVD R 1 RRS(RRSSSSS)RRS 3.1=ER|HC|HP|IV|WK
      CAS S 5 RRRS*16 1=$adjust
      DTP R 1 RRR 1:573 2=D8
      AMT S 1 RR 1:EAF
"""


@cache
def institutional_claim() -> TransactionSpec:
    """Return the table of the institutional claim, compiled on first use."""
    return compile_table(
        claim_levels(_HEADER, _PATIENT, _CLAIM),
        set_id="837",
        functional_id="HC",
        versions=("005010X223A2", "005010X223A3", "005010X223A1", "005010X223"),
        lists=CODE_LISTS,
    )
