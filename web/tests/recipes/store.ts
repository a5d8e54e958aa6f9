import { defineStore } from 'pinia'
import { computed } from 'vue'
import { ticketsFrom, useCondorStream } from 'condord-web'

export const useCondors = defineStore('condors', () => {
  const ticket = ticketsFrom('/api/tickets', () => localStorage.getItem('condord'))
  const live = useCondorStream('/api/stream', { share: true, ticket })
  const losing = computed(() => [...live.condors.value.values()].filter((each) => (each.valuation.unrealizedPl ?? 0) < 0))
  return { ...live, losing }
})
