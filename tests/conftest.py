"""One profile for every property test: machines that run tests are busy, so no example has a deadline."""

import hypothesis

hypothesis.settings.register_profile("condord", deadline=None)
hypothesis.settings.load_profile("condord")
