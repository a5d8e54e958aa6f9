import { defineStore } from 'pinia'
import { computed } from 'vue'
import { useCondorStream } from 'condord-web'

export const useCondors = defineStore('condors', () => {
  const live = useCondorStream('/api/stream', { share: true })
  const losing = computed(() => [...live.condors.value.values()].filter((each) => (each.valuation.unrealizedPl ?? 0) < 0))
  return { ...live, losing }
})
