"""The engines of the lab, in the order of its tables. A new one is a class and a word here."""

from . import engines, inbound_engines, names, slirp4netns

ENGINES = {engine.name: engine
           for engine in (engines.Pasta(), slirp4netns.Slirp4netns(), engines.Sluice(),
                          engines.SluiceTap(), engines.SluicePacket(), names.SluiceNames(),
                          inbound_engines.PastaIn(), inbound_engines.SluiceIn())}
