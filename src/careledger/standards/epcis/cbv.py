"""The words of the Core Business Vocabulary 2.0 and of GS1's sensor vocabulary, as facts.

Owns the closed lists (CBV 2.0 §7; GS1 Web Vocabulary, measurement types) and their URN and web prefixes. How
a spelling is turned into a word is in `vocabulary`.
"""

from __future__ import annotations

from typing import Final

WEB: Final = "https://ref.gs1.org/cbv/"
GS1_WEB: Final = "https://gs1.org/voc/"
URN: Final = "urn:epcglobal:cbv:"

BUSINESS_STEPS = """
accepting arriving assembling collecting commissioning consigning creating_class_instance cycle_counting
decommissioning departing destroying disassembling dispensing encoding entering_exiting holding inspecting
installing killing loading other packing picking receiving removing repackaging repairing replacing reserving
retail_selling sampling sensor_reporting shipping staging_outbound stock_taking stocking storing transporting
unloading unpacking void_shipping
"""
DISPOSITIONS = """
active available completeness_inferred completeness_verified conformant container_closed container_open damaged
destroyed dispensed disposed encoded expired in_progress in_transit inactive mismatch_class mismatch_instance
mismatch_quantity needs_replacement no_pedigree_match non_conformant non_sellable_other partially_dispensed
recalled reserved retail_sold returned sellable_accessible sellable_not_accessible stolen unavailable unknown
"""
TRANSACTION_TYPES = "bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt"
PARTY_TYPES = "location owning_party possessing_party"
ERROR_REASONS = "did_not_occur incorrect_data"
COMPONENTS = """
altitude axial_distance azimuth easting elevation_angle height latitude longitude northing polar_angle
spherical_radius x y z
"""
ALERTS = "ALARM_CONDITION ERROR_CONDITION"
MEASUREMENTS = """
AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Altitude AmountOfSubstance
AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area Capacitance
Conductance Conductivity Count Density Dimensionless DoseEquivalent DoseEquivalentRate DynamicViscosity
ElectricCharge ElectricCurrent ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency
Illuminance Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux
LuminousIntensity MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass MassConcentration MassFlowRate
MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarVolume Power Pressure RadiantFlux
RadiantIntensity Radioactivity RelativeHumidity Resistance Resistivity SolidAngle SpecificVolume Speed
SurfaceDensity SurfaceTension Temperature Time Torque Voltage Volume VolumeFlowRate VolumeFraction
VolumetricFlux Wavenumber
"""

# UN/ECE Recommendation 20 codes in use for what cold chains measure; other kinds are not checked.
UNITS: dict[str, frozenset[str]] = {
    "Temperature": frozenset(("CEL", "FAH", "KEL")),
    "RelativeHumidity": frozenset(("P1", "A62")),
    "AbsoluteHumidity": frozenset(("A93", "GP", "D41", "KMQ")),
    "Illuminance": frozenset(("LUX", "KLX", "P25")),
    "Time": frozenset(("SEC", "MIN", "HUR", "DAY", "WEE", "MON", "ANN", "C26", "B98")),
    "Mass": frozenset(("KGM", "GRM", "MGM", "MC", "DTN", "TNE", "LBR", "ONZ", "STN", "LTN")),
    "Speed": frozenset(("MTS", "KMH", "HM", "KNT", "2M", "C16", "FS", "IU", "FR")),
}
